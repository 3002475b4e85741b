"""The pytest plugin: suites that tests write and run, in this process wherever that is possible."""
