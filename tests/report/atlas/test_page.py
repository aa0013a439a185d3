"""The atlas in a browser: each control does what it says."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from protoviz.report.atlas import sheets
from tests.reference import atlas as made_up
from tests.report.atlas.conftest import watched

# A tile as the page has it, drawn at its own size: what the browser decodes, in [0, 255].
TILE = """async ([at, channel, unit]) => {
  const cube = atlas.study.cube(at.condition);
  let found = { sheet: atlas.study.sheet(at), k: cube.channels.get(at.layer).indexOf(channel) };
  if (unit) {
    const { neighbours, partners } = await atlas.study.numbers(at);
    const life = atlas.study.life({ ...at, channel }, neighbours[found.k], partners?.[found.k]);
    found = life.own(cube.repeat.indexOf(at.repeat), cube.epoch.indexOf(at.epoch));
  }
  const { sheet, k } = found;
  const image = await atlas.sheets.get(sheet);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = sheet.size;
  const context = canvas.getContext("2d");
  const laid = at.mask ? atlas.study.veil(at, at.mask) : null;
  const veil = laid && { ...laid, image: await atlas.sheets.get(laid.sheet) };
  atlas.drawTile(context, { image, sheet, k, veil, x: 0, y: 0, side: sheet.size });
  return [...context.getImageData(0, 0, sheet.size, sheet.size).data];
}"""


def tile(page: Any, at: dict[str, Any], channel: int, unit: bool = False) -> np.ndarray:
    pixels = np.array(page.evaluate(TILE, [at, channel, unit]), np.uint8)
    return pixels.reshape(made_up.SIZE, made_up.SIZE, 4)


def order(page: Any, side: int = 0, count: int = made_up.LAYERS["layer1"]) -> list[int]:
    """The first units of a side of the grid in the order shown, read off by pointing at them."""
    found = []
    page.locator(".pane .tiles").nth(side).focus()
    page.keyboard.press("Home")
    for _ in range(count):
        said = page.locator(".status").inner_text()
        found.append(int(said.split("channel ")[1].split(" ")[0]))
        page.keyboard.press("ArrowRight")
    return found


@pytest.mark.parametrize(
    ("condition", "run", "repeat", "epoch", "layer", "channel"),
    [("clrjit", 1, 0, 0, "layer1", 0), ("keepclr", 2, 1, 5, "layer2", 39), ("clrjit", 2, 1, 2, "layer1", 23)],
)
def test_a_tile_is_the_image_of_the_cube_pixel_for_pixel(
    visit: Any, condition: str, run: int, repeat: int, epoch: int, layer: str, channel: int
) -> None:
    page = visit.open()
    at = {"condition": condition, "run": run, "repeat": repeat, "epoch": epoch, "layer": layer}
    offset = 0 if layer == "layer1" else made_up.LAYERS["layer1"]
    expected = made_up.images(condition, run, repeat, epoch)[offset + channel]
    for from_unit_sheet in (False, True):
        shown = tile(page, at, channel, from_unit_sheet)
        assert (shown[..., 3] == 255).all()
        np.testing.assert_array_equal(shown[..., :3], expected)
    mask = made_up.masks(run)[made_up.EPOCHS.index(epoch), list(made_up.LAYERS).index(layer)]
    masked = tile(page, {**at, "mask": "own"}, channel)[..., :3]
    np.testing.assert_allclose(masked, 128 + (expected - 128.0) * mask[..., None], atol=2)
    fixed = made_up.masks(1)[0, list(made_up.LAYERS).index(layer)]
    masked = tile(page, {**at, "mask": "fixed"}, channel)[..., :3]
    np.testing.assert_allclose(masked, 128 + (expected - 128.0) * fixed[..., None], atol=2)
    worked = made_up.opacities(condition, run, repeat, epoch)[offset + channel] / 255
    for named in ({}, {"channel": channel}):
        masked = tile(page, {**at, **named, "mask": "transparency"}, channel)[..., :3]
        np.testing.assert_allclose(masked, 128 + (expected - 128.0) * worked[..., None], atol=2)


SHOWN = """async () => {
  const drawn = [...document.querySelectorAll(".grown canvas, .likenesses canvas")];
  return drawn.map((one) => [one.width, one.classList.contains("lacking"),
    [...one.getContext("2d").getImageData(0, 0, one.width, one.height).data]]);
}"""


def test_a_unit_fades_where_its_ascents_have_not_worked(visit: Any) -> None:
    """Every picture of the page has its own mask: of its epoch and repeat, and of its neighbours."""
    page = visit.open("#/unit/clrjit/1/layer1/3?mask=transparency")
    page.wait_for_function("document.querySelectorAll('.grown canvas').length")
    assert page.get_by_label("mask").input_value() == "transparency"
    pictures = page.evaluate(SHOWN)
    assert not any(lacking for _, lacking, _ in pictures)
    moments = [(repeat, epoch) for repeat in made_up.REPEATS for epoch in made_up.EPOCHS]
    for (repeat, epoch), (side, _, values) in zip(moments, pictures, strict=False):
        image = made_up.images("clrjit", 1, repeat, epoch)[3]
        worked = made_up.opacities("clrjit", 1, repeat, epoch)[3] / 255
        shown = np.array(values, np.float64).reshape(side, side, 4)[..., :3]
        np.testing.assert_allclose(shown, 128 + (image - 128.0) * worked[..., None], atol=2)
    page.get_by_label("mask").select_option("none")
    page.wait_for_function("!location.hash.includes('mask')")


@pytest.mark.parametrize(("layer", "channel"), [("layer1", 0), ("layer1", 23), ("layer2", 17)])
def test_a_lossy_tile_is_the_decoded_sheet_and_within_the_stated_distance(
    chromium: Any, study: Any, bare: str, layer: str, channel: int
) -> None:
    page = chromium.new_page()
    visited = watched(page, bare)
    visited.open()
    at = {"condition": "keepclr", "run": 2, "repeat": 1, "epoch": 2, "layer": layer}
    with Image.open(study.bare / f"sheets/keepclr-2/1/2/{layer}.webp") as picture:
        decoded = sheets.tiles(np.asarray(picture), made_up.LAYERS[layer], made_up.SIZE)[channel]
    offset = 0 if layer == "layer1" else made_up.LAYERS["layer1"]
    image = made_up.images("keepclr", 2, 1, 2)[offset + channel].astype(float)
    distance = page.evaluate("atlas.study.distance")
    for from_unit in (False, True):
        shown = tile(page, at, channel, from_unit)[..., :3]
        np.testing.assert_array_equal(shown, decoded)
        apart = np.abs(shown - image)
        assert (
            0 < apart.mean() < 1.5 * distance["mean"]
        )  # of one tile; that of all is tested where it is measured
        assert apart.max() <= distance["greatest"]
    visited.go("#/about")
    said = page.locator("main").inner_text()
    assert f"lossy WebP of quality {made_up.study().atlas.quality}" in said
    assert f"within {distance['most']}, as measured over all" in said
    page.close()
    assert visited.problems == []


@pytest.mark.parametrize(("width", "beside"), [(1280, True), (600, False)])
def test_at_first_two_conditions_stand_side_by_side_if_the_window_has_room(
    visit: Any, width: int, beside: bool
) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.open()
    assert page.locator(".sides.two").count() == beside
    chosen = page.locator(".sides select").evaluate_all("all => all.map(one => one.value)")
    assert [name for name in chosen if name in ("clrjit", "keepclr")] == ["clrjit", "keepclr"][: 1 + beside]
    assert page.get_by_label("side by side").is_checked() == beside
    if beside:
        page.get_by_label("side by side").uncheck()
        page.wait_for_function("!location.hash.includes('with')")
        visit.settle()
        assert page.locator(".sides.two").count() == 0
    visit.open("#/grid/keepclr/1")
    assert page.locator(".sides.two").count() == 0, "an address that names a network shows it alone"


def test_the_grid_draws_every_unit_in_its_place(visit: Any) -> None:
    """On the screen: the pixels of each tile, enlarged and smoothed, are those of the cube."""
    page = visit.open("#/grid/keepclr/1/1/2/layer1?whole=1")
    count = made_up.LAYERS["layer1"]
    middles = """([count, size]) => {
      const rows = [...document.querySelectorAll(".pane canvas")];
      const times = (rows[0].height) / size;
      const step = rows[0].height + 2;
      const columns = (rows[0].width + 2) / step;
      const found = [];
      for (let k = 0; k < count; k++) {
        const canvas = rows[Math.floor(k / columns)];
        const side = canvas.height;
        const copy = document.createElement("canvas");
        Object.assign(copy, { width: side, height: side });
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(canvas, -(k % columns) * step, 0);
        const { data } = context.getImageData(0, 0, side, side);
        for (let y = 0; y < size; y++)
          for (let x = 0; x < size; x++) {
            const [down, across] = [y, x].map((one) => one * times + Math.floor(times / 2));
            const at = 4 * (down * side + across);
            found.push(...data.slice(at, at + 3));
          }
      }
      return found;
    }"""
    size = made_up.SIZE
    shown = np.array(page.evaluate(middles, [count, size]), np.float64).reshape(count, size, size, 3)
    expected = made_up.images("keepclr", 1, 1, 2)[:count].astype(np.float64)
    for unit in range(count):
        apart = np.abs(expected - shown[unit]).mean(axis=(1, 2, 3))
        assert apart.argmin() == unit
        assert apart[unit] < 0.3 * np.delete(apart, unit).min()


def test_slider_and_arrows_scrub_and_the_address_follows(visit: Any) -> None:
    page = visit.open("#/grid/clrjit/1/0/0/layer1")
    assert page.locator(".epoch").inner_text() == "untrained"
    page.keyboard.press("ArrowRight")
    assert page.locator(".epoch").inner_text() == "epoch 1"
    slider = page.get_by_role("slider")
    slider.fill("3")
    assert page.locator(".epoch").inner_text() == "epoch 5"
    visit.reach("#/grid/clrjit/1/0/5/layer1")
    page.keyboard.press("ArrowLeft")  # the slider has the focus: the browser moves it
    assert slider.get_attribute("aria-valuetext") == "epoch 2"
    visit.settle()
    page.wait_for_function("atlas.views.grid.shown()")


def test_neighbouring_epochs_are_loaded_ahead(visit: Any) -> None:
    page = visit.open("#/grid/clrjit/1/0/1/layer2")
    near = """epochs => epochs.every((epoch) => atlas.sheets.peek(atlas.study.sheet(
      { condition: "clrjit", run: 1, repeat: 0, epoch, layer: "layer2" })))"""
    page.wait_for_function(near, arg=list(made_up.EPOCHS))


@pytest.mark.parametrize("sort", ["activation", "change", "saturation", "settling"])
def test_sorting_orders_units_by_their_values(visit: Any, sort: str) -> None:
    page = visit.open("#/grid/clrjit/1/0/1/layer1")
    assert order(page) == list(range(24))
    page.get_by_label("sorted by").select_option(sort)
    visit.reach(f"#/grid/clrjit/1/0/1/layer1?sort={sort}")
    shown = order(page)
    assert sorted(shown) == list(range(24))
    if sort == "activation":
        values = -made_up.activations("clrjit", 1, 0, 5)[:24]
    elif sort == "saturation":
        values = -made_up.saturation(0, 5)[:24]
    elif sort == "settling":
        values = np.tile([5, 1, 2, 1], 6)
    else:
        before, after = (made_up.images("clrjit", 1, 0, epoch)[:24] for epoch in (2, 5))
        mask = made_up.masks(1)
        masked = [images * mask[at, 0][..., None] / 255 for images, at in ((before, 2), (after, 3))]
        values = -((masked[0] - masked[1]) ** 2).mean(axis=(1, 2, 3))
    if sort == "change":  # the page has four digits of them
        assert (np.diff(values[shown]) >= -1e-3 * np.abs(values).max()).all()
    else:
        assert shown == np.argsort(values, kind="stable").tolist()


def test_side_by_side_sliders_are_linked_until_they_are_not(visit: Any) -> None:
    page = visit.open("#/grid/clrjit/1/0/5/layer1?sort=activation")
    page.get_by_label("side by side").check()
    visit.settle()
    sliders, epochs = page.get_by_role("slider"), page.locator(".epoch")
    assert sliders.count() == 2
    assert page.get_by_label("condition").nth(1).input_value() == "keepclr"
    sliders.nth(1).fill("1")
    assert epochs.all_inner_texts() == ["epoch 1", "epoch 1"]
    visit.reach("#/grid/clrjit/1/0/1/layer1?with=keepclr/1/0/1&sort=activation")
    assert order(page, 0) == order(page, 1)  # the same channel at the same place
    page.get_by_label("linked sliders").uncheck()
    visit.settle()
    page.get_by_role("slider").nth(0).fill("3")
    assert page.locator(".epoch").all_inner_texts() == ["epoch 5", "epoch 1"]


def test_deep_links_and_the_back_button(visit: Any) -> None:
    page = visit.open("#/unit/keepclr/2/layer2/17?epoch=2&repeat=1")
    assert page.get_by_role("heading", level=1).inner_text() == "layer2, channel 17"
    assert page.locator("figcaption b").all_inner_texts() == ["epoch 2, repeat 0", "epoch 2, repeat 1"]
    page.get_by_role("link", name="its layer").click()
    page.wait_for_selector(".pane")
    visit.reach("#/grid/keepclr/2/1/2/layer2")
    page.keyboard.press("ArrowRight")
    page.locator(".pane .tiles").click(position={"x": 5, "y": 5})
    page.wait_for_selector(".unit")
    visit.reach("#/unit/keepclr/2/layer2/0?epoch=5&repeat=1")
    page.go_back()
    page.wait_for_selector(".pane")
    visit.reach("#/grid/keepclr/2/1/5/layer2")  # where the arrow had led
    page.go_back()
    visit.reach("#/unit/keepclr/2/layer2/17?epoch=2&repeat=1")
    assert page.get_by_role("heading", level=1).inner_text() == "layer2, channel 17"
    assert page.title() == "layer2 channel 17, keepclr 2 \u2013 a made-up study"


def test_the_page_of_a_unit(visit: Any) -> None:
    page = visit.open("#/unit/keepclr/2/layer1/3")
    stages = page.locator(".stage")
    assert stages.count() == len(made_up.REPEATS) * len(made_up.EPOCHS)
    assert "dead" in stages.nth(7).inner_text()
    assert stages.nth(6).get_by_role("img").get_attribute("aria-label") == (
        "Prototype of layer1 channel 3, epoch 2, repeat 1"
    )
    stages.nth(1).click()
    assert page.locator("figcaption b").first.inner_text() == "epoch 1, repeat 0"
    visit.reach("#/unit/keepclr/2/layer1/3?epoch=1&repeat=0")
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    assert page.locator("figcaption b").first.inner_text() == "epoch 2, repeat 0"
    said = page.locator(".chart svg").first.get_attribute("aria-label")
    first, last = (made_up.activations("keepclr", 2, 0, epoch)[3] for epoch in (0, 5))
    assert f"repeat 0: {first:g} at epoch 0, {last:g} at epoch 5" in said
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function("document.querySelector('h1').textContent === 'layer1, channel 4'")
    assert "Settles at epoch 5 (repeat 0), 5 (repeat 1)." in page.locator(".growth").inner_text()
    photographs = page.locator(".photographs img")
    photographs.first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.photographs img').naturalWidth === 16")
    assert photographs.count() == 4
    assert "At epoch 5, 6 of 8 starts drive the unit nearly as well" in page.locator(".unit").inner_text()
    assert "by 4 different images, of which 3 are shown" in page.locator(".unit").inner_text()
    assert page.locator(".modes canvas").count() == 3
    assert page.locator(".modes small").all_inner_texts() == [
        "3 of 6 starts",
        "2 of 6 starts",
        "1 of 6 starts",
    ]
    page.get_by_text("All numbers").click()
    assert page.locator("tbody tr").count() == len(made_up.EPOCHS)


# Sheets come this many frames after they were asked for, as if the machine were busy.
LATE = """frames => {
  const { get } = atlas.sheets;
  atlas.sheets.get = async (sheet) => {
    const came = await get.call(atlas.sheets, sheet);
    for (let k = 0; k < frames; k++) await new Promise(requestAnimationFrame);
    return came;
  };
}"""


@pytest.mark.parametrize("late", [0, 60])
def test_neighbours_lead_to_their_pages(visit: Any, late: int) -> None:
    page = visit.open("#/unit/clrjit/1/layer2/0")
    page.evaluate(LATE, late)
    likeness = page.locator(".likenesses a").first
    named = likeness.inner_text().split("\n")[0].strip()
    likeness.click()
    condition, run, channel = named.replace(", channel", "").split(" ")
    visit.reach(f"#/unit/{condition}/{run}/layer2/{channel}?epoch=5&repeat=0")
    assert page.get_by_role("heading", level=1).inner_text() == f"layer2, channel {channel}"
    assert page.title().startswith(f"layer2 channel {channel}, {condition} {run} ")


def test_what_a_view_says_late_does_not_undo_a_step(visit: Any) -> None:
    """A link was followed, and the view that is left is yet to hear of it when it says where it is."""
    page = visit.open("#/unit/clrjit/1/layer2/0")
    page.evaluate(
        """() => {
          location.hash = "#/unit/clrjit/1/layer2/3";
          atlas.address.stay({ view: "unit", condition: "clrjit", run: 1, layer: "layer2", channel: 0 });
          atlas.address.settle();
        }"""
    )
    visit.reach("#/unit/clrjit/1/layer2/3")
    assert page.get_by_role("heading", level=1).inner_text() == "layer2, channel 3"


def test_faithfulness_stands_on_the_page_of_a_unit(visit: Any) -> None:
    page = visit.open("#/unit/keepclr/2/layer2/3?epoch=5&repeat=0")
    page.wait_for_selector(".chart svg")
    said = [one.get_attribute("aria-label") for one in page.locator(".chart svg").all()]
    own = next(one for one in said if one.startswith("Faithfulness of layer2 channel 3"))
    assert "repeat 0: 1 at epoch 0, 0.5 at epoch 5" in own
    along = next(one for one in said if one.startswith("Faithfulness along the layers"))
    assert "repeat 0: 0.3 at first, 0.7 at last" in along
    visit.open("#/unit/keepclr/2/layer1/3?epoch=5&repeat=0")
    page.wait_for_function("document.querySelectorAll('.chart svg').length === 4")
    said = page.locator(".chart svg").last.get_attribute("aria-label")
    assert "repeat 0: 0.3 at first, 0.3 at first" in said, "the one layer that units of layer1 see"


def test_the_unit_without_natural_images_says_so(visit: Any) -> None:
    page = visit.open("#/unit/clrjit/1/layer1/5")
    assert "No natural image drives this unit." in page.locator(".unit").inner_text()


def test_the_partners_of_a_unit_lead_to_their_pages(visit: Any) -> None:
    page = visit.open("#/unit/clrjit/1/layer2/1")
    section = page.locator("section", has=page.get_by_role("heading", name="Partners in other networks"))
    assert section.locator("li").count() == 2
    told = section.inner_text()
    assert "r 0." in told
    assert "by prototypes channel" in told
    first = made_up.partners(0, "layer2")[0][1]
    section.get_by_role("link").first.click()
    visit.reach(f"#/unit/clrjit/2/layer2/{first}?epoch=5&repeat=0")
    page = visit.open(f"#/unit/clrjit/1/layer2/{made_up.UNPAIRED}")
    assert "distance 0." in page.locator(".unit").inner_text()
    page = visit.open("#/unit/seresnext/1/conv1/2")
    assert "Not computed in this study: the unit's partners" in page.locator(".unit").inner_text()


def test_search_finds_a_unit(visit: Any) -> None:
    page = visit.open("#/grid/keepclr/2/0/5/layer1")
    page.keyboard.press("/")
    field = page.get_by_label("Find a unit").locator("input")
    assert field.is_visible()
    page.keyboard.type("layer2 39")
    offers = page.locator("#find-results a").all_inner_texts()
    assert offers[0] == "layer2 channel 39, keepclr 2"  # the network that is looked at comes first
    assert len(offers) == 4
    page.keyboard.press("Enter")
    page.wait_for_selector(".unit")
    visit.reach("#/unit/keepclr/2/layer2/39")
    page.keyboard.press("/")
    page.keyboard.type("clrjit-1 conv9 1")
    assert "No unit of that name" in page.locator("#find-results").inner_text()
    page.keyboard.press("Escape")
    field.wait_for(state="hidden")


WORDS: dict[str, list[tuple[str, int, str, int]]] = {
    "clrjit 2 layer1 7": [("clrjit", 2, "layer1", 7)],
    "keepclr-1 layer2:39": [("keepclr", 1, "layer2", 39)],
    "LAYER1/23 clr": [("clrjit", 1, "layer1", 23), ("clrjit", 2, "layer1", 23)],
    "seresnext conv1 8": [("seresnext", 1, "conv1", 8)],
    "seresnext conv1 4": [],  # a channel that is no unit
    "layer1": [],
    "layer1 24": [],
    "1 2 3": [],
}


def test_what_words_find(visit: Any) -> None:
    page = visit.open("#/about")
    for words, found in WORDS.items():
        matches = page.evaluate("words => atlas.matches(words)", words)
        names = ("condition", "run", "layer", "channel")
        assert [tuple(one[name] for name in names) for one in matches] == found, words


def test_keys_in_the_grid_choose_and_open_a_unit(visit: Any) -> None:
    page = visit.open("#/grid/clrjit/1/0/5/layer1")
    page.locator(".pane .tiles").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    chosen = int(page.locator(".status").inner_text().split("channel ")[1].split(" ")[0])
    assert chosen > 1
    page.keyboard.press("Shift+ArrowLeft")
    assert page.locator(".epoch").inner_text() == "epoch 2"
    page.keyboard.press("Enter")
    page.wait_for_selector(".unit")
    visit.reach(f"#/unit/clrjit/1/layer1/{chosen}?epoch=2&repeat=0")
    page.keyboard.press("m")
    page.wait_for_selector(".plane")


def test_a_click_on_the_map_goes_to_the_unit(visit: Any) -> None:
    page = visit.open("#/map/study?colour=condition")
    legend = [text.strip() for text in page.locator(".legend li").all_inner_texts()]
    assert legend == ["clrjit", "keepclr", "1,023 prototypes · neighbors 15"]  # one of 1,024 has no place
    page.get_by_label("pictures").uncheck()
    # Run 2 alone is on the map. keepclr 2, repeat 1, epoch 5 is the last column, layer2 channel 39 its end:
    # the top right corner.
    place = page.evaluate(
        """() => {
          const plane = atlas.views.map.plane();
          const { wide, high, left, bottom } = plane.frame();
          const box = plane.canvas.getBoundingClientRect();
          return [box.left + left + wide, box.top + bottom - high];
        }"""
    )
    page.mouse.move(*place)
    assert page.locator(".tip").inner_text() == "keepclr 2, layer2 channel 39, epoch 5, repeat 1"
    page.mouse.click(*place)
    page.wait_for_selector(".unit")
    visit.reach("#/unit/keepclr/2/layer2/39?epoch=5&repeat=1")
    page.go_back()
    page.wait_for_selector(".plane")
    visit.reach("#/map/study?colour=condition")


def test_the_map_moves_and_enlarges_and_filters(visit: Any) -> None:
    page = visit.open("#/map")
    frame = "() => { const { wide, left } = atlas.views.map.plane().frame(); return [wide, left]; }"
    wide, left = page.evaluate(frame)
    page.locator(".plane").hover()
    page.mouse.wheel(0, -400)
    enlarged = "wide => atlas.views.map.plane().frame().wide > 1.5 * wide"
    page.wait_for_function(enlarged, arg=wide)  # the browser is told of the wheel without an answer
    page.keyboard.press("Tab")
    page.locator(".plane").focus()
    page.keyboard.press("0")
    assert page.evaluate(frame) == [wide, left]
    box = page.locator(".plane").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 200, steps=4)
    page.mouse.up()
    assert page.evaluate(frame)[1] == pytest.approx(left + 60, abs=1)
    assert page.evaluate("location.hash") == "#/map"  # dragging is not clicking
    page.get_by_label("layer", exact=True).select_option("layer1")
    visit.reach("#/map/study?layer=layer1&colour=layer")
    page.wait_for_function("document.querySelector('.legend').textContent.includes('383 prototypes')")
    shown = page.evaluate("() => atlas.views.map.plane().there.reduce((sum, one) => sum + one, 0)")
    assert shown == 2 * 2 * 4 * 24 - 1


def test_study_b_has_its_map_and_its_units(visit: Any) -> None:
    page = visit.open("#/map/stages?colour=epoch")
    assert [text.strip() for text in page.locator(".legend li").all_inner_texts()[:3]] == list(made_up.STAGES)
    assert page.get_by_label("coloured by").locator("option").all_inner_texts() == [
        "layer",
        "condition",
        "stage",
    ]
    page.locator(".plane").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".unit")
    visit.settle()
    assert page.evaluate("location.hash").startswith("#/unit/seresnext/1/")
    visit.go("#/unit/seresnext/1/blocks.0.conv2/7")
    names = [text.split()[0] for text in page.locator(".stage").all_inner_texts()]
    assert names == list(made_up.STAGES)
    assert "not computed in this study" in page.locator(".curves").inner_text()
    visit.go("#/grid/seresnext/1/0/2/conv1")
    assert not page.get_by_label("mask").is_visible()
    assert order(page, count=4) == [2, 3, 5, 8]


def test_pointing_at_a_curve_shows_that_epoch_in_a_grid(visit: Any) -> None:
    page = visit.open("#/curves/diversity")
    svg = page.locator(".measures .chart svg").nth(1)
    points = svg.locator("circle")
    # The lines come condition by condition, run by run, repeat by repeat: keepclr 2, repeat 1, epoch 2.
    point = points.nth(7 * len(made_up.EPOCHS) + 2).bounding_box()
    page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    # Both repeats have the same values here: the first of them is the nearest.
    page.wait_for_function("document.querySelector('.preview p').textContent.includes('epoch 2')")
    assert page.locator(".preview p").first.inner_text() == "layer2, keepclr run 2, repeat 0, epoch 2"
    page.locator(".preview .tiles[aria-label^='Prototypes of layer2']").wait_for()
    page.get_by_role("link", name="open in the grid").click()
    page.wait_for_selector(".grid")
    visit.reach("#/grid/keepclr/2/0/2/layer2")


def test_curves_are_read_with_the_keyboard(visit: Any) -> None:
    page = visit.open("#/curves/diversity")
    page.locator(".measures .chart svg").first.focus()
    reading = page.locator(".reading").first
    page.keyboard.press("ArrowLeft")  # the end of the first line
    assert reading.inner_text().startswith("clrjit run 1, repeat 0, epoch 5: ")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")  # the last line
    assert reading.inner_text().startswith("keepclr run 2, repeat 1, epoch 2: ")
    page.wait_for_function("document.querySelector('.preview p').textContent.includes('keepclr run 2')")
    page.keyboard.press("Enter")
    page.wait_for_selector(".grid")
    visit.reach("#/grid/keepclr/2/1/2/layer1")


def test_curves_have_a_line_for_each_run_and_repeat(visit: Any) -> None:
    page = visit.open("#/curves")
    assert page.locator(".chips a").all_inner_texts() == ["diversity", "probe accuracy"]
    paths = page.locator(".measures .curve").first.locator("path")
    assert paths.count() == 2 * 2 * 2
    strokes = paths.evaluate_all("paths => paths.map((one) => one.getAttribute('stroke'))")
    assert strokes == ["#0072B2"] * 4 + ["#D55E00"] * 4
    page.get_by_role("link", name="probe accuracy").click()
    page.wait_for_function("document.querySelectorAll('.measures .curve').length === 1")


def test_findings_have_their_verdicts(visit: Any) -> None:
    page = visit.open("#/findings")
    rows = page.locator(".finding")
    assert rows.count() == 3
    assert page.locator(".finding .badge").all_inner_texts() == ["supported", "not supported", "supported"]
    rows.nth(0).get_by_text("What was measured").click()
    said = rows.nth(0).inner_text()
    assert "1.59\u00d7" in said
    assert "0.98\u00d7 \u2026 2.47\u00d7" in said
    assert "0.25 (least 0.125)" in said
    rows.nth(2).get_by_text("What was measured").click()  # of study B
    assert "0.3 \u2026 0.5" in rows.nth(2).inner_text()
    assert "One network." in page.locator("main").inner_text()


def test_about_says_what_there_is_and_how_large_it_is(visit: Any, study: Any) -> None:
    text = visit.open("#/about").locator("main").inner_text()
    assert "An atlas of 2,069 prototypes" in text
    assert "Not computed: masks of receptive fields" in text  # of the stages
    for kind, named in {
        "sheets": "sheets of layers",
        "units": "sheets of units",
        "veils": "masks",
        "transparency": "transparency",
    }.items():
        size = sum(path.stat().st_size for path in (study.rich / kind).rglob("*.webp"))
        said = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{-(-size // 1000)} kB"
        assert f"{named} {said}" in text


VIEWS = (
    *("#/grid", "#/grid/clrjit/1/0/5/layer1?with=keepclr/1/0/5", "#/unit/clrjit/1/layer1/3", "#/map"),
    *("#/unit/seresnext/1/conv1/2", "#/map/stages", "#/curves", "#/findings", "#/about", "#/nosuch"),
)
UNNAMED = """() => [...document.querySelectorAll("img, canvas, main svg, input, select, button, a")]
  .filter((one) => !one.closest("[aria-hidden=true]") && one.getClientRects().length)
  .filter((one) => !(one.alt || one.ariaLabel || one.textContent.trim() || one.title))
  .filter((one) => !one.labels?.length)
  .map((one) => one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [1280, 390])
def test_every_view_fits_its_width_and_has_names_for_what_it_shows(visit: Any, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.open("#/grid/clrjit/2/0/5/layer2")
    for hash_ in VIEWS:
        visit.go(hash_)
        wide, room = page.evaluate(
            "(({ scrollWidth, clientWidth }) => [scrollWidth, clientWidth])(document.documentElement)"
        )
        assert wide <= room, hash_
        assert page.evaluate(UNNAMED) == [], hash_


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(visit: Any, scheme: str) -> None:
    """At least 4.5 : 1 (WCAG AA) for text and soft text on both grounds."""
    visit.page.emulate_media(color_scheme=scheme)
    page = visit.open("#/about")
    colours = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const names = ["ground", "raised", "tile-ground", "ink", "soft", "accent", "bad", "good"];
          return Object.fromEntries(names.map((name) => [name, style.getPropertyValue("--" + name).trim()]));
        }"""
    )

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for ground in ("ground", "raised", "tile-ground"):
        for text in ("ink", "soft", "accent", "bad", "good"):
            pair = sorted([light(colours[ground]), light(colours[text])])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (ground, text)
