#!/bin/bash
# A tuning run under SLURM: sbatch --nodes 4 configs/slurm/tune.sh resnet18 --target cuda --minutes 60
# Options are those of `raydgp tune`; raydgp is installed at the same place on every node, and the folder that sbatch is
# called in is shared. The same command again resumes.
#SBATCH --job-name=raydgp
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=8
#SBATCH --signal=B:TERM@60

set -euo pipefail
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export RAY_worker_niceness=0 # kernels are timed in Ray's workers
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')

# Ray starts on every node, the command after -- on the first one.
exec srun --kill-on-bad-exit=0 ray symmetric-run --address "$head:6379" --min-nodes "$SLURM_JOB_NUM_NODES" -- \
    python jobs/tune.py "$@" --runs-dir "$PWD/runs"
