"""The passes that fuse a packed model into kernels."""

from __future__ import annotations

import tvm
from tvm import relax

FUSE = tvm.transform.Sequential(
    [
        relax.transform.LegalizeOps(),
        relax.transform.RewriteDataflowReshape(),  # what only renames a shape moves no data
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FoldConstant(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ]
)
