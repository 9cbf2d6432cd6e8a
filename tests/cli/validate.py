#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""validate.py SCHEMA FILE: the file is exactly one JSON object of that schema, with "schema" as its first member."""
import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        document = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    problem = jsonschema.exceptions.best_match(jsonschema.Draft7Validator(schema).iter_errors(document))
    if problem is not None:
        print(f"{problem.json_path}: {problem.message}")
        return 1
    if next(iter(document)) != "schema":
        print("the first member is not schema")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
