"""The checkpoints of a run: in a folder or among the revisions of the hub, with the steps that their names say."""
