// SPDX-License-Identifier: Apache-2.0
/**
 * Completion: a script for the shell, which asks `lacre completion --propose -- WORDS…` for every proposal. The verbs and
 * flags are those of the help; nothing has to be installed again when they change.
 */
import { defineVerb, toggle, type Verb } from "../verb.ts";
import { CliError } from "../errors.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_lacre() {
  local IFS=$'\\n'
  COMPREPLY=($(lacre completion --propose -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _lacre lacre`,
  zsh: `#compdef lacre
_lacre() {
  local -a proposals
  proposals=("\${(@f)$(lacre completion --propose -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$proposals" ]]; then compadd -- $proposals; else _files; fi
}
compdef _lacre lacre`,
  fish: `function __lacre_propose
  lacre completion --propose -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c lacre -a '(__lacre_propose)'`,
};

export const verb: Verb = defineVerb({
  brief: "Print a completion script for bash, zsh or fish",
  details:
    'bash:  lacre completion bash > ~/.local/share/bash-completion/completions/lacre\nzsh:   lacre completion zsh > "${fpath[1]}/_lacre"\nfish:  lacre completion fish > ~/.config/fish/completions/lacre.fish',
  flags: { propose: toggle("Print proposals for the words that follow", { hidden: true }) },
  operands: { name: "SHELL", brief: "bash, zsh or fish", minimum: 0 },
  async run(context, flags, operands) {
    if (flags.propose === true) {
      for (const word of await context.propose(operands)) context.terminal.result(word);
      return;
    }
    const [shell = "", ...more] = operands;
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined || more.length > 0) throw new CliError("USAGE", "the shell is bash, zsh or fish");
    context.terminal.result(script);
  },
});
