#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""generate.py COMMAND BASH ZSH FISH: completions of one command, from what it says to --help, in three files."""
import os
import re
import subprocess
import sys

# The words an option's value is one of. Where --help only says POLICY, the option tells which.
WORDS = {
    "--beyond-end": "fail skip",
    "--entries": "all live stale uncommitted future free",
    "--future": "drop commit",
    "--map": "term svg",
    "--progress": "auto always never json",
    "--sort": "index sector seq",
    "--type": "s p",
    "--uncommitted": "drop flush",
}
FILES = {"FILE", "ORIGIN", "CACHE"}
OPTION = re.compile(r"  (-\S+)(?: (?!Excludes:)(\S+))?(?:  +(.*)| Excludes:.*)?$")
VERBS = re.compile(r"((?:[a-z_]+, )*[a-z_]+)  +\S")


class Option:
    """One option: its names, what kind of value it takes, its description."""

    def __init__(self, names, value, text):
        self.names = names
        self.text = text
        self.value = value.strip("[=]") if value else ""
        self.is_value_optional = bool(value) and value.startswith("[=")
        self.words = next((WORDS[name].split() for name in names if name in WORDS), [])
        self.is_file = self.value in FILES


def help_of(command):
    return subprocess.run(command + ["--help"], check=True, capture_output=True, text=True).stdout.splitlines()


def options_of(lines):
    found = []
    for line in lines:
        if match := OPTION.match(line):
            names = [re.sub(r"\{.*\}", "", name) for name in match[1].split(",")]
            found.append(Option(names, match[2], (match[3] or "").strip()))
        elif found and re.match(r" {20,}\S", line):
            found[-1].text = (found[-1].text + " " + line.strip()).strip()
    if not found:
        sys.exit("--help lists no option")
    return found


def verbs_of(lines):
    return [verb for line in lines if (match := VERBS.match(line)) for verb in match[1].split(", ")]


def header(name, comment="#"):
    return (f"{comment} SPDX-License-Identifier: LGPL-2.1-or-later\n"
            f"{comment} Completion of {name}, made from what it says to --help.\n")


def bash(name, options, ctl):
    function = "_" + name.replace("-", "_")
    cases = ""
    for option in options:
        pattern = "|".join(option.names)
        if option.words:
            cases += f"    {pattern}) COMPREPLY=($(compgen -W '{' '.join(option.words)}' -- \"$current\")); return ;;\n"
        elif option.is_file:
            cases += f"    {pattern}) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
        elif option.value:
            cases += f"    {pattern}) return ;;\n"
    every = " ".join(n for option in options for n in option.names)
    text = header(name) + f"{function}() {{\n"
    text += "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
    text += "  # `=` is a word of its own.\n"
    text += "  if [ \"$current\" = = ]; then\n    current=''\n"
    text += "  elif [ \"$previous\" = = ]; then\n    previous=${COMP_WORDS[COMP_CWORD - 2]}\n  fi\n"
    if ctl:
        ctl_options, verbs = ctl
        names = " ".join(n for option in ctl_options for n in option.names)
        text += "  if [ \"${COMP_WORDS[1]}\" = ctl ] && [ \"$COMP_CWORD\" -gt 1 ]; then\n    local words\n    case $COMP_CWORD in\n"
        text += f"      2) words=\"$(\"${{COMP_WORDS[0]}}\" ctl --list 2>/dev/null) {names}\" ;;\n"
        text += f"      3) words='{' '.join(verbs)}' ;;\n      *) words='{names}' ;;\n    esac\n"
        text += "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n    return\n  fi\n"
    text += f"  case $previous in\n{cases}  esac\n"
    text += "  case $current in\n"
    text += f"    -*) COMPREPLY=($(compgen -W '{every}' -- \"$current\")) ;;\n"
    extra = ' $(compgen -W ctl -- "$current")' if ctl else ""
    text += f"    *) COMPREPLY=($(compgen -f -- \"$current\"){extra}) ;;\n  esac\n}}\n"
    return text + f"complete -o filenames -F {function} {name}\n"


def zsh_quoted(text):
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh_specs(options):
    """The option specifications of _arguments."""
    specs = []
    for option in options:
        action = ""
        if option.value:
            kind = f"({' '.join(option.words)})" if option.words else "_files" if option.is_file else " "
            action = f"{':' if option.is_value_optional else ''}:{zsh_quoted(option.value)}:{kind}"
        excluded = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
        for name in option.names:
            ending = "" if not option.value else "=-" if option.is_value_optional else "=" if name.startswith("--") else "+"
            specs.append(f"'{excluded}{name}{ending}[{zsh_quoted(option.text)}]{action}'")
    return " \\\n    ".join(specs)


def zsh(name, options, ctl):
    text = f"#compdef {name}\n" + header(name)
    if ctl:
        ctl_options, verbs = ctl
        text += "if [[ $words[2] = ctl ]] && (( CURRENT > 2 )); then\n"
        text += "  shift words\n  (( CURRENT-- ))\n"
        text += f"  _arguments -s \\\n    {zsh_specs(ctl_options)} \\\n"
        text += f"    '1:NAME:($(wc-run ctl --list 2>/dev/null))' '2:VERB:({' '.join(verbs)})'\n"
        text += "  return\nfi\n"
        return text + f"_arguments -s \\\n    {zsh_specs(options)} \\\n    '1:CACHE:{{ compadd ctl; _files }}'\n"
    return text + f"_arguments -s \\\n    {zsh_specs(options)} \\\n    '1:CACHE:_files'\n"


def fish_quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_lines(name, options, condition):
    text = ""
    for option in options:
        line = f"complete -c {name}{condition}"
        for option_name in option.names:
            line += f" -l {option_name[2:]}" if option_name.startswith("--") else f" -s {option_name[1:]}"
        if option.words:
            line += f" -a {fish_quoted(' '.join(option.words))}"
        if option.value and not option.is_value_optional:
            line += " -r" + ("" if option.is_file else " -f")
        text += line + f" -d {fish_quoted(option.text)}\n"
    return text


def fish(name, options, ctl):
    if not ctl:
        return header(name) + fish_lines(name, options, "")
    ctl_options, verbs = ctl
    is_ctl = " -n '__fish_seen_subcommand_from ctl'"
    text = header(name) + fish_lines(name, options, " -n 'not __fish_seen_subcommand_from ctl'")
    text += f"complete -c {name} -n 'not __fish_seen_subcommand_from ctl' -a ctl -d 'Talk to one that runs'\n"
    text += fish_lines(name, ctl_options, is_ctl)
    text += f"complete -c {name}{is_ctl} -f -a '({name} ctl --list 2>/dev/null)'\n"
    return text + f"complete -c {name}{is_ctl} -f -a '{' '.join(verbs)}'\n"


def main():
    command, *paths = sys.argv[1:]
    name = os.path.basename(command)
    options = options_of(help_of([command]))
    ctl = None
    if name == "wc-run":
        lines = help_of([command, "ctl"])
        ctl = (options_of(lines), verbs_of(lines))
    for path, make in zip(paths, (bash, zsh, fish), strict=True):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(make(name, options, ctl))


if __name__ == "__main__":
    main()
