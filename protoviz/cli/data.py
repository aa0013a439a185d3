"""The commands `verify`, `export` and `publish`."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from protoviz.errors import StudyError


def add_parsers(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser("verify", help="check that stores are whole, undamaged and as dvc.lock says")
    parser.set_defaults(run=verify)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="outputs or stores (default: all outputs)")

    parser = commands.add_parser("export", help="write prototypes as image files, one folder for each layer")
    parser.set_defaults(run=export)
    parser.add_argument("--store", default="data/cube.zarr", help="the cube (default: data/cube.zarr)")
    parser.add_argument("--out", metavar="FOLDER", default="exported", help="where to (default: exported)")
    for name, kind in (("condition", str), ("run", int), ("repeat", int), ("epoch", int), ("layer", str)):
        parser.add_argument(
            f"--{name}",
            dest=f"only_{name}",
            metavar=name.upper(),
            nargs="+",
            type=kind,
            help="only these (default: all)",
        )

    parser = commands.add_parser("publish", help="push the outputs of the study to DVC's default remote")
    parser.set_defaults(run=publish)
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help="only these (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="only say what it would cost")
    parser.add_argument(
        "--limit", type=float, metavar="MB", help="of a remote in the repository (default: 60)"
    )


def verify(arguments: Namespace) -> None:
    """Check outputs and stores; print what is wrong with each, and how to get it back.

    Raises:
        StudyError: something is wrong with them.
    """
    from protoviz.pipeline import dvc_lock, dvc_storage
    from protoviz.pipeline import verify as verifying
    from protoviz.store import kinds, validation

    recorded: dvc_lock.DvcLock | None = None
    if Path(dvc_lock.LOCK_FILE).is_file() or not arguments.paths:
        recorded = dvc_lock.read()
    outputs = recorded.outputs if recorded else {}
    where = dvc_storage.find() if recorded else None
    bad, advice = [], []
    for path in [str(Path(path)) for path in arguments.paths] or list(outputs):
        if recorded and where and path in outputs:
            problems = verifying.output_problems(outputs[path], recorded, where)
            advice += [verifying.recovery(outputs[path], where)] if problems else []
        else:
            _require_store(path)
            problems = validation.problems(path, kinds.kind_of(path))
        print(f"{path}: {'damaged' if problems else 'whole'}", flush=True)
        for problem in problems:
            print(f"  {problem}")
        bad += [path] if problems else []
    if advice:
        print("\nTo get back what is damaged, in this order:")
        for line in advice:
            print(f"  {line}")
    if bad:
        raise StudyError(
            f"{len(bad)} of {len(arguments.paths or outputs)} outputs",
            expected="no damage",
            found="what is listed above",
            remedy="get them back" + (" by the commands above" if advice else " from where they came"),
        )


def export(arguments: Namespace) -> None:
    """Write files; print how many.

    Raises:
        StudyError: see `export.export`.
    """
    from protoviz.cli.networks import require_folder
    from protoviz.store import export as exporting

    require_folder(Path(arguments.out))
    names = ("condition", "run", "repeat", "epoch", "layer")
    chosen = {name: labels for name in names if (labels := getattr(arguments, f"only_{name}"))}
    written = exporting.export(arguments.store, arguments.out, chosen)
    print(f"{written:,} prototypes in {arguments.out}")


def publish(arguments: Namespace) -> None:
    """Publish; print what each output costs.

    Raises:
        StudyError: see `publishing.publish`.
    """
    from protoviz.cli.networks import print_table
    from protoviz.pipeline import publish as publishing

    shares = publishing.publish(arguments.limit, arguments.dry_run, arguments.outputs or None)
    rows = [(share.path, f"{share.nbytes / 1e6:.2f}", f"{share.added / 1e6:.2f}") for share in shares]
    total = sum(share.added for share in shares)
    print_table(("output", "MB", "MB more"), [*rows, ("all", "", f"{total / 1e6:.2f}")])
    if not arguments.dry_run:
        print("\nPublished. Commit it where the remote is a folder of the repository:")
        print("  git add published dvc.lock && git commit")


def _require_store(path: str) -> None:
    if not (Path(path) / "zarr.json").is_file():
        raise StudyError(
            path,
            expected="an output of the study or a Zarr store",
            found="neither",
            remedy="name another path",
        )
