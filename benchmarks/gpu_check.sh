#!/usr/bin/env bash
# Everything that needs a GPU, in under 8 minutes, on a machine with torch, pytest and no network.
#
#   benchmarks/gpu_check.sh GIVEN OUT [EARLIER.tar.gz]
#
# GIVEN  a folder with wheels/ and, as far as there is room, the Parquet folders cifar10/ and fashion_mnist/, which are
#        decoded there. wheels/ holds what that machine lacks of the dependencies in pyproject.toml and to build osakd:
#          pip download --only-binary=:all: --python-version 3.12 --platform manylinux_2_28_x86_64 --no-deps \
#            -d GIVEN/wheels beartype hatchling editables
# OUT    gets gpu-check.tar.gz (below 16 MiB): logs, the benchmark's record, run folders with their checkpoints.
# EARLIER  a gpu-check.tar.gz of before: finished runs are kept, others go on from their last checkpoint.
#
# DEVICE=cpu STEPS=2 tries the script itself where there is no GPU.
set -uo pipefail

if [ $# -lt 2 ] || [ ! -d "$1" ]; then
  echo "usage: benchmarks/gpu_check.sh GIVEN OUT [EARLIER.tar.gz]   (GIVEN is a folder)" >&2
  exit 2
fi
given=$(cd "$1" && pwd)
mkdir -p "$2/gpu-check"
out=$(cd "$2" && pwd)/gpu-check
if [ -n "${3:-}" ]; then
  tar -xzf "$3" -C "$out/.." || exit 2
fi
cd "$(dirname "$0")/.."
device=${DEVICE:-cuda}
python=${PYTHON:-python3}
failed=0

# A step: its name, its seconds, its command. Ctrl-C at the end of its time, so that it stops as it stops for a person.
step() {
  local name=$1 seconds=$2
  shift 2
  echo "== $name (at most $seconds s)"
  timeout --foreground --signal=INT --kill-after=20 "$seconds" "$@" >"$out/$name.log" 2>&1
  local code=$?
  tail -n 15 "$out/$name.log"
  if [ "$code" -ne 0 ] && ! { [ "$name" = train ] && { [ "$code" -eq 124 ] || [ "$code" -eq 130 ]; }; }; then
    echo "== $name failed with $code"
    failed=1
  fi
}

wheels=("$given"/wheels/*.whl)
if [ -e "${wheels[0]}" ]; then
  step wheels 30 "$python" -m pip install --quiet --no-index --no-deps "${wheels[@]}"
fi
step install 30 "$python" -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
export OSAKD_CACHE="$out/../cache"
step tests 90 "$python" -m pytest -q -p no:cacheprovider -m gpu tests
step bench 200 "$python" -m benchmarks.run --device "$device" --out "$out/records" ${STEPS:+--steps "$STEPS"}
# torchvision imports on such machines: the key layout of ResNet-50 is checked against it.
step torchvision 30 "$python" -m pytest -q -p no:cacheprovider -k torchvision tests/models
if [ -d "$given/cifar10" ]; then
  step train 60 "$python" -m osakd compare --data "$given/cifar10" --model lenet --epochs 100 --seeds 5 \
    --methods plain osakd osakd-16nn --device "$device" --out "$out/runs/table1-cifar10"
fi

archive="$out.tar.gz"
tar -czf "$archive" -C "$out/.." --exclude='*.tmp' gpu-check
if [ "$(stat -c %s "$archive")" -gt $((16 * 1024 * 1024)) ]; then
  # The checkpoints before the last ones matter only if a run was killed while it wrote one.
  tar -czf "$archive" -C "$out/.." --exclude='*.tmp' --exclude=checkpoint.previous.pt gpu-check
fi
echo "== $archive: $(stat -c %s "$archive") bytes"
exit "$failed"
