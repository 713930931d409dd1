"""Reads [{"yaml_text", "version"}] as JSON on stdin: manifests, and the release of Kubernetes to hold them against. Prints for each
{"documents", "faults": [{"kind", "name", "fault"}]}.

Kubernetes' own kinds are held against the JSON schemas of the release, strictly: an unknown field is a fault.
KEDA's and the Prometheus operator's against models made of their CRDs, where a field that a model drops is unknown.
"""
import json
import sys

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

models = {"keda.sh/v1alpha1": keda, "monitoring.coreos.com/v1": prometheus}


def fault_of(document, version):
    if document["apiVersion"] in models:
        model = getattr(models[document["apiVersion"]], document["kind"]).model_validate(document)
        kept = json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))
        return unknown(document, kept, "")
    kubernetes_validate.validate(document, version, strict=True)
    return None


def unknown(given, kept, path):
    if isinstance(given, dict):
        for key, value in given.items():
            at = f"{path}.{key}"
            if not isinstance(kept, dict) or key not in kept:
                return f"{at} is unknown"
            found = unknown(value, kept[key], at)
            if found:
                return found
    if isinstance(given, list):
        for i, value in enumerate(given):
            found = unknown(value, kept[i], f"{path}[{i}]")
            if found:
                return found
    return None


def validated(yaml_text, version):
    documents = [each for each in yaml.load_all(yaml_text, Loader=loader) if each]
    faults = []
    for document in documents:
        try:
            fault = fault_of(document, version)
        except Exception as error:  # both libraries have several kinds
            fault = str(getattr(error, "message", error))
        if fault:
            faults.append({"kind": document["kind"], "name": document["metadata"]["name"], "fault": fault})
    return {"documents": documents, "faults": faults}


loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
print(json.dumps([validated(**each) for each in json.load(sys.stdin)]))
