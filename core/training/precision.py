"""Whether this machine computes in the precision that a recipe asks for, or imitates it."""

from __future__ import annotations

from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""As Linux names the instructions, the last on ARM."""


def advice(precision: str, backend: str, cpu_info: Path = CPU_INFO) -> str:
    """What to say before a training that this processor would imitate; empty where there is nothing to say.

    Args:
        precision: Keras' dtype policy.
        backend: Keras' backend; only TensorFlow's runs on the CPU as a rule.
        cpu_info: where Linux lists the flags.
    """
    if not is_imitated(precision, backend, cpu_info):
        return ""
    return (
        f"this processor has no instructions for bfloat16: on it {precision} takes about twice as long as "
        "--set precision=float32"
    )


def for_answering(precision: str, backend: str, cpu_info: Path = CPU_INFO) -> str:
    """The policy in which a network that was trained in `precision` answers fastest here.

    That is its own, or float32 where the processor would imitate it; the weights are float32 in both.

    Args:
        precision, backend, cpu_info: as for `advice`.
    """
    return "float32" if is_imitated(precision, backend, cpu_info) else precision


def is_imitated(precision: str, backend: str, cpu_info: Path = CPU_INFO) -> bool:
    """Whether this processor has no instructions for a policy.

    Without instructions for it TensorFlow computes bfloat16 on the CPU twice as slowly as float32 (ResNet50, batch 32
    at 128 px, on a Xeon with AVX-512 alone: 12 s a step against 6). Where the flags are not to be read, as on other
    systems, they are taken to be there.

    Args:
        precision, backend, cpu_info: as for `advice`.
    """
    if "bfloat16" not in precision or backend != "tensorflow":
        return False
    try:
        lines = cpu_info.read_text().splitlines()
    except OSError:
        return False
    flags = {
        flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()
    }
    return bool(flags) and not flags & BFLOAT16_FLAGS
