"""The files that studies keep: what they go on with after a kill, results, and where their numbers come from.

This folder imports from `models`, and from the other files of `studies`.
A `Store` is what a study goes on with: `Journal` has the evaluations of a search, `Shards` the points of a sweep.
Each says which model, parameters and code it is of (`provenance`, `fingerprint`), so that a study is resumed only as it was.
To add a format, write a subclass of `Store`; to add files of a result, write them within `results.saving`.
"""
