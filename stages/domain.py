"""The images of another domain, on which study B fine-tunes its network."""

from protoviz import layout
from protoviz.config.params import Images, ParamsWithFinetuning
from protoviz.data import splits
from stages import run_stage


def main(params: ParamsWithFinetuning) -> None:
    """Choose the images from their source and write them as the stage `dataset` does."""
    domain = params.training_stages.domain
    images = Images(
        source=domain.source,
        path=domain.path,
        size=params.training_stages.network.size,
        seed=domain.seed,
        unlabeled=1,  # nothing learns from images without labels here
        reference=0,
        train=domain.train,
        test=domain.test,
    )
    splits.make(layout.DOMAIN, images)


if __name__ == "__main__":
    run_stage(main)
