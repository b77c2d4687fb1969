"""Reads the kustomizations of deploy/ as kustomize would: lists of resources, and patches that delete. Anything else in them is an error."""

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
BASE = DEPLOY / "base"
WITHOUT_POD_GROUP = DEPLOY / "overlays" / "without-podgroup-crd"

Object = dict[str, Any]


def documents(path: Path) -> list[Object]:
    """Return the objects of one file."""
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document is not None]


def render(directory: Path) -> list[Object]:
    """Return the objects that ``kubectl apply -k directory`` applies, in the order of the lists."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text(encoding="utf-8"))
    unknown = set(kustomization) - {"apiVersion", "kind", "resources", "patches"}
    assert not unknown, f"{directory}: this reader does not know {unknown}"
    objects: list[Object] = []
    for entry in kustomization["resources"]:
        path = (directory / entry).resolve()
        objects += render(path) if path.is_dir() else documents(path)
    for patch in kustomization.get("patches", []):
        objects = _without(objects, yaml.safe_load(patch["patch"]))
    return objects


def _without(objects: list[Object], patch: Object) -> list[Object]:
    assert patch.pop("$patch") == "delete", "this reader knows patches that delete only"
    left = [each for each in objects if identity(each) != identity(patch)]
    assert len(left) == len(objects) - 1, f"the patch must delete exactly one object: {identity(patch)}"
    return left


def identity(obj: Object) -> tuple[str, str, str, str]:
    """Return what tells one object from all others."""
    metadata = obj["metadata"]
    return obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"]
