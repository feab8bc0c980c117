#!/usr/bin/env bash
# Records the sub-spaces that strategies are compared on, on this machine's CPU, into a folder. Nothing else may run
# meanwhile. Ctrl-C stops it; the same command goes on, and leaves alone what is there.
#   jobs/cpu_record.sh history/znver4
set -euo pipefail
folder=$1
record() {  # network task knobs that hardly matter...
    local out="$folder/$1-$2.parquet"
    test -e "$out" || raydgp history record --model "$1" --task "$2" --valid 1200 --out "$out" "${@:3}"
}
k3=(--fix parallel=2 --fix inner=vectors --fix reduction=ci_kernel --fix order=co_oh)
k1=(--fix parallel=2 --fix inner=vectors --fix reduction=ci_kernel)
dw=(--fix parallel=2 --fix reduction=ry_rx --fix order=c_oh)
record squeezenet_v1_1 fire6-expand3x3 "${k3[@]}"
record resnet18 rb3-conv2 "${k3[@]}"
record resnet18 rb1-conv1 "${k3[@]}"
record mobilenet_v1 sp-7-conv2 "${k1[@]}"
record resnet18 rb3-sc "${k1[@]}"
record squeezenet_v1_1 fire5-squeeze "${k1[@]}"
record mobilenet_v1 sp-1-dp1 "${dw[@]}"
record mobilenet_v1 sp-3-dp1 "${dw[@]}"
record mobilenet_v1 sp-5-dp1 "${dw[@]}"
record alexnet conv4 "${k3[@]}"
record vgg16 conv4-3 "${k3[@]}"
