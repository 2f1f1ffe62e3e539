"""The applied document is reconstructed from the recorded field ownership."""

from wattcast.deploy.cluster.field_ownership import last_applied


def test_applied_fields_are_distinguished_from_those_of_other_managers() -> None:
    fields = {
        "f:metadata": {"f:labels": {"f:mine": {}}},
        "f:spec": {
            "f:image": {},
            "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
            "f:finalizers": {'v:"one"': {}},
            "f:args": {},
        },
    }
    live = {
        "apiVersion": "v1", "kind": "Thing",
        "metadata": {
            "name": "x", "namespace": "y", "uid": "1", "labels": {"mine": "1", "other": "2"},
            "managedFields": [
                {"manager": "someone", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
                {"manager": "wattcast", "fieldsV1": fields},
                {"manager": "wattcast", "subresource": "status", "fieldsV1": {"f:status": {}}},
            ],
        },
        "spec": {
            "image": "i", "suspend": True, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "finalizers": ["one", "two"], "args": ["a", "b"],
        },
        "status": {"state": "RUNNING"},
    }  # fmt: skip
    assert last_applied(live) == {
        "apiVersion": "v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "y", "labels": {"mine": "1"}},
        "spec": {"image": "i", "env": [{"name": "A", "value": "1"}], "finalizers": ["one"], "args": ["a", "b"]},
    }  # fmt: skip
