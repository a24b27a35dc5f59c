"""Run experiments. One config in, one finished run out; `-m` makes a sweep of them.

python run.py method=sft task.facts=24
python run.py -m experiment=quickstart
"""

import errno
import os
import sys

os.environ["HYDRA_FULL_ERROR"] = "1"  # whatever is set: errors are told in one line below, not by Hydra
os.environ.setdefault("TQDM_DISABLE", "1")  # libraries draw bars and tables inside ours otherwise
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# Before torch is imported: threads that spin while they wait slow each other down on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mixsd.core.errors import MixSDError, Terminated
from mixsd.run.command_line import arranged, mistake
from mixsd.run.grid import register
from mixsd.run.messages import config_error, help_text


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(config: DictConfig) -> object:
    """Run one experiment; in a sweep, a failed job does not end the others."""
    from mixsd.run.job import run_job  # torch is heavy: `--help` must not wait for it

    return run_job(config)


if __name__ == "__main__":
    sys.argv[1:] = arranged(sys.argv[1:])
    if {"--help", "-h"} & set(sys.argv):
        print(help_text(__doc__ or ""))
        # The rest of it is the config, with what is overridden.
        sys.argv[1:] = ["--cfg", "job", *(word for word in sys.argv[1:] if not word.startswith("-"))]
    if wrong := mistake(sys.argv[1:]):
        print(wrong, file=sys.stderr)
        sys.exit(2)
    if os.environ.get("WORLD_SIZE", "1") != "1":  # torchrun and its like
        from mixsd.run.lease import take_local_gpu

        take_local_gpu()  # before torch looks for GPUs
        from mixsd.lm.processes import join_launcher

        try:
            if join_launcher():
                sys.exit(0)
        except MixSDError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
    register()  # Hydra looks its sweeper up before any of our code runs
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        print(config_error(error), file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # Hydra's own folders, below runs_dir
        if error.errno not in (errno.EROFS, errno.EACCES, errno.ENOSPC, errno.ENAMETOOLONG):
            raise
        print(
            f"{error.filename} cannot be written ({error.strerror}); give another runs_dir", file=sys.stderr
        )
        sys.exit(2)
    except Exception as error:
        from mixsd.run.job import search_without_numbers

        if not (said := search_without_numbers(error)):
            raise
        print(said, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as stopped:
        print("interrupted; the same command goes on from where it was", file=sys.stderr)
        sys.exit(128 + stopped.args[0] if isinstance(stopped, Terminated) else 130)
