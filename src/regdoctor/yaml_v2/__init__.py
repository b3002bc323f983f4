"""Reads YAML as the CNCF registry does, and keeps the place of every node.

The registry reads its configuration with gopkg.in/yaml.v2, a port of libyaml to Go. PyYAML comes from the same
origin, but refuses tabs that libyaml allows and takes some texts that libyaml refuses; where the two differ
this module follows yaml.v2 (``scannerc.go``, ``parserc.go``, ``decode.go``, version 2.4.0). Problems have
yaml.v2's wording, so that they can be found in the registry's log.

Only the first document counts, as for the registry. This module imports PyYAML: import it where it is used.
"""

from regdoctor.yaml_v2.nodes import Node, decode, has_excessive_aliases, read
from regdoctor.yaml_v2.problems import TooLarge, YamlProblem
from regdoctor.yaml_v2.scalars import NodeKind, kind_of

__all__ = [
    "Node",
    "NodeKind",
    "TooLarge",
    "YamlProblem",
    "decode",
    "has_excessive_aliases",
    "kind_of",
    "read",
]
