"""The commit record and the binds: a whole gang or nothing, and what becomes of it after a crash."""
