"""The network of study B: untrained, pretrained, fine-tuned."""

from protoviz import compute, files, layout
from protoviz.config.params import ParamsWithFinetuning
from protoviz.learning import classify
from protoviz.models import finetuned
from protoviz.models.finetuned import Identity
from stages import run_stage


def main(params: ParamsWithFinetuning) -> None:
    """Read both sets of images, train, and write the network of each state, digests and accuracies."""
    device = compute.prepare(params.compute.device, params.compute.threads)
    about, pretrain = params.training_stages.network, params.training_stages.pretrain
    general, domain = classify.Task.read(layout.IMAGES), classify.Task.read(layout.DOMAIN)
    given = pretrain.weights is not None  # then its classes are not ours, and its accuracy is not known here
    network = finetuned.initial(about.model, None if given else len(general.classes), about.seed)
    metrics = {}
    with files.complete(layout.stages_checkpoints(about.seed)) as folder:
        folder.mkdir()

        def keep(state: str, task: classify.Task | None) -> None:
            identity = Identity(about.model, int(network.num_classes), state, about.seed)  # type: ignore[arg-type]
            finetuned.save(finetuned.path(folder, state), network, identity)
            metrics[state] = task.judged(network, about.size, device, about.judged) if task else {}

        address = (layout.STAGES_CONDITION, about.seed)
        keep("random", None if given else general)
        if given:
            finetuned.give_weights(network, pretrain, about.model)
        else:
            general.learnt(network, pretrain, address=(*address, "pretrained"), device=device)
        keep("pretrained", None if given else general)
        finetuned.with_classes(network, len(domain.classes), about.seed)
        domain.learnt(
            network, params.training_stages.finetune, address=(*address, "finetuned"), device=device
        )
        keep("finetuned", domain)
        finetuned.record(folder)
    files.write_json(layout.STAGES_TRAINING, metrics)


if __name__ == "__main__":
    run_stage(main, whole=True)
