import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from mixsd.run.grid import grid_jobs
from tests.conftest import ROOT


@pytest.fixture
def jobs():
    """The jobs of a sweep's overrides, each as one line."""

    def of(*overrides):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            loader = GlobalHydra.instance().hydra.config_loader
            parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
            return [" ".join(job) for job in grid_jobs(parsed, loader)]

    return of


def test_a_setting_that_only_one_method_has_sweeps_that_method_alone(jobs):
    assert jobs("method=sft,mixsd", "method.mixing_rate=0.1,0.3", "seed=0") == [
        "method=sft seed=0",
        "method=mixsd method.mixing_rate=0.1 seed=0",
        "method=mixsd method.mixing_rate=0.3 seed=0",
    ]


def test_a_fixed_value_goes_to_those_that_have_it(jobs):
    assert jobs("method=sft,opsd", "method.rollouts=2") == ["method=sft", "method=opsd method.rollouts=2"]
    assert jobs("task=kgfact_small,kgfunc_pocket", "task.retrieval=0,3") == [
        "task=kgfact_small task.retrieval=0",
        "task=kgfact_small task.retrieval=3",
        "task=kgfunc_pocket",
    ]


def test_a_key_that_no_option_has_stays_so_that_it_is_refused(jobs):
    assert jobs("method=sft,mixsd", "method.mixin_rate=0.1") == [
        "method=sft method.mixin_rate=0.1",
        "method=mixsd method.mixin_rate=0.1",
    ]


def test_keys_that_are_not_set_yet_and_added_keys_are_keys_too(jobs):
    assert jobs("task=own_facts", "task.path=a.csv,b.csv") == [
        "task=own_facts task.path=a.csv",
        "task=own_facts task.path=b.csv",
    ]
    assert jobs("method=sft,stm", "+method.extra=1") == [
        "method=sft +method.extra=1",
        "method=stm +method.extra=1",
    ]


def test_an_experiment_chooses_options_as_well(jobs):
    assert jobs("experiment=three_methods", "method=sft,mixsd", "method.mixing_rate=0.5") == [
        "experiment=three_methods method=sft",
        "experiment=three_methods method=mixsd method.mixing_rate=0.5",
    ]
