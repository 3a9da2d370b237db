"""The contract as one descriptor set: what a proxy reads to speak JSON for us.

Owns: which files are in the set. Every generated module of `timebank` is, with all that it imports,
and the google.rpc files that the details of an error need. Refuses: compiling; no protoc is needed.
Rules: a file comes after the files it imports, and the same contract gives the same bytes.
"""

import importlib
import pathlib

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2, status_pb2

PACKAGE = pathlib.Path(__file__).parent
GENERATED = "*/v1/*_pb2.py"


def descriptor_set() -> bytes:
    """Gives a serialised google.protobuf.FileDescriptorSet of every service of the contract."""
    files: dict[str, FileDescriptor] = {}
    for found in (*_own_files(), status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR):
        _add(found, files)
    contract = descriptor_pb2.FileDescriptorSet(
        file=[
            descriptor_pb2.FileDescriptorProto.FromString(found.serialized_pb)
            for found in files.values()
        ]
    )
    return contract.SerializeToString(deterministic=True)


def _own_files() -> list[FileDescriptor]:
    """The files of `timebank.<service>.v1`, by name; loads their modules."""
    paths = sorted(path.relative_to(PACKAGE.parent) for path in PACKAGE.glob(GENERATED))
    names = [".".join(path.with_suffix("").parts) for path in paths]
    return [importlib.import_module(name).DESCRIPTOR for name in names]


def _add(found: FileDescriptor, files: dict[str, FileDescriptor]) -> None:
    """Adds what a file imports, then the file, unless they are there."""
    if found.name in files:
        return
    for imported in found.dependencies:
        _add(imported, files)
    files[found.name] = found
