# SPDX-License-Identifier: Apache-2.0
"""What a denial says was tried: the same words live and recorded."""

from __future__ import annotations

KVM_API_VERSION = 'KVM_GET_API_VERSION'
KVM_SUPPORTED_CPUID = 'KVM_GET_SUPPORTED_CPUID'
KVM_FEATURE_MSRS = 'KVM_GET_MSR_FEATURE_INDEX_LIST'
SMOKE = 'run a small guest'


def read(path: str) -> str:
    """Reading a file."""
    return f'read {path}'


def listdir(path: str) -> str:
    """Listing a directory."""
    return f'list {path}'


def readlink(path: str) -> str:
    """Reading a symbolic link."""
    return f'read the link {path}'


def stat(path: str) -> str:
    """Looking at what a path is."""
    return f'stat {path}'


def options(path: str) -> str:
    """Reading options of an ini file."""
    return f'read {path}'


def versions(package: str) -> str:
    """Looking for an installed package."""
    return f'find the installed package {package}'


def groups(user: str) -> str:
    """Looking up an account's groups."""
    return f'look up the groups of the account {user}'


def cpuid(cpu: int, leaf: int, subleaf: int) -> str:
    """Executing CPUID."""
    return f'execute CPUID leaf {leaf:#x} subleaf {subleaf} on CPU {cpu}'


def msr(cpu: int, index: int) -> str:
    """Reading a model-specific register."""
    return f'read MSR {index:#x} from /dev/cpu/{cpu}/msr'


def kvm_extension(capability: int) -> str:
    """Asking KVM for an extension."""
    return f'KVM_CHECK_EXTENSION {capability}'
