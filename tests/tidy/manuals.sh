#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lets mandoc look at every manual page, and shows that it would find a mistake: manuals.sh ROOT
set -euo pipefail

if ! command -v mandoc >/dev/null; then
  echo "skipped: mandoc is not installed (scripts/setup installs it)"
  exit 77
fi

# Complaints about pages, but not about what is installed on this machine.
complaints() {
  mandoc -T lint -W style "$@" 2>&1 | grep -v 'referenced manual not found\|mandoc\.db' || true
}

cd "$1/man"
pages=(*.[1-9])
found=$(complaints "${pages[@]}")
[ -z "$found" ] || { printf '%s\n' "$found"; exit 1; }
broken=$(sed 's/^\.Sh NAME/.Sh NOTHING\n.Xx/' "${pages[0]}" | complaints)
[ -n "$broken" ] || { echo "a broken page was not noticed"; exit 1; }
for page in "${pages[@]}"; do
  for wanted in '^\.Sh EXAMPLES' '^\.Sh SEE ALSO' '^\.\\" SPDX-License-Identifier'; do
    grep -q "$wanted" "$page" || { echo "$page: has no line $wanted"; exit 1; }
  done
  # What a page refers to within the suite is there.
  while read -r name section; do
    [ -e "$name.$section" ] || { echo "$page: refers to $name($section), which is not there"; exit 1; }
  done < <(sed -n -E 's/^\.Xr ((wc-|writecache|nbdkit-writecache)[^ ]*) ([1-9]).*/\1 \3/p' "$page" | sort -u)
done
echo "manuals: ${#pages[@]} pages"
