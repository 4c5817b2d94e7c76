"""The files that studies keep: journals, shards, results, and where their numbers come from.

This folder imports from `models`, and from the other files of `studies`.
Whatever is kept says which model, parameters and code it is of (`provenance`, `fingerprint`), so that a study is resumed only as it was.
To add a kind of file, write it within `paths.disk`, so that a full disk leaves nothing behind and the error says what is kept.
"""
