"""`wattcast train`: train a model on recorded readings and write its artifact."""

from pathlib import Path

from wattcast.cli.bad_input import exit_on_bad_input
from wattcast.cli.models import training_options as opt
from wattcast.cli.models.training_run import TrainingRequest, run_training


def main(
    data: opt.MaybeData = None,
    data_version: opt.DataVersion = None,
    hindsight: opt.Hindsight = False,
    buildings_file: opt.BuildingsFile = None,
    store: opt.Store = None,
    out: opt.Out = Path("models/trained"),
    begin_anew: opt.BeginAnew = False,
    options: opt.OptionsFile = None,
    set_: opt.Set = None,
    network: opt.Network = None,
    name: opt.Name = "",
    model_version: opt.ModelVersion = "",
    exclude_buildings_of: opt.ExcludeBuildingsOf = None,
    hold_out_share: opt.HoldOutShare = 0.0,
    minutes: opt.Minutes = None,
    steps: opt.Steps = None,
    synthetic: opt.Synthetic = 0,
    seed: opt.Seed = None,
    device: opt.Device = "cpu",
    processes: opt.Processes = 1,
    attribution: opt.Attribution = "",
    register: opt.Register = False,
    promote: opt.Promote = False,
) -> None:
    """Train one network for all buildings of a file and write model.pt and model_config.json."""
    changes = {"members": network, "minutes": minutes, "steps": steps, "seed": seed}
    request = TrainingRequest(
        data=data, data_version=data_version, hindsight=hindsight, buildings_file=buildings_file, store=store,
        exclude_buildings_of=exclude_buildings_of, hold_out_share=hold_out_share, synthetic=synthetic,
        out=out, begin_anew=begin_anew, options_file=options, option_values=changes, assignments=set_ or [],
        name=name, model_version=model_version, device=device, processes=processes, attribution=attribution,
        is_registered=register or promote, is_promoted=promote,
    )  # fmt: skip
    with exit_on_bad_input("train"):
        run_training(request)
