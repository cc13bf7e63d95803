#!/bin/sh
# gpux login and logout.
. "$(dirname "$0")/lib.sh"
. "$here/hub.sh"
file="$HOME/.gpux/credentials.json"

begin 'login asks for the token and does not show it'
gpux_on_terminal 80 'Token: ' hf_goodtoken login; code 0
out_has 'Logged in to huggingface as tester'; out_lacks hf_goodtoken
[ "$(stat -c %a "$file")" = 600 ] || problem "mode $(stat -c %a "$file")"; end

begin 'the stored token is used, and logout forgets it'
gpux pull org/private --no-convert -q; code 0
gpux logout; code 0; out_is 'Logged out of huggingface'
gpux logout hf; code 0; out_is 'Not logged in to huggingface'
gpux info org/private; code 2; end

begin 'login reads the token from stdin or an option'
gpux_with_stdin 'hf_goodtoken
' login --token-stdin; code 0; out_is 'Logged in to huggingface as tester'; err_is_empty
gpux login huggingface --token hf_goodtoken; code 0; out_is 'Logged in to huggingface as tester'; end

begin 'a bad token exits 4 and changes nothing'
gpux login --token hf_badtoken; code 4; out_is_empty; err_has 'Error: Authentication failed'
if grep -q hf_badtoken "$temp/err" "$file"; then problem 'the token is shown'; fi
file_has "$file" hf_goodtoken; end

begin 'an interrupted prompt exits 130'
gpux_on_terminal 80 'Token: ' '\003' login; code 130; out_has 'Interrupted by user'; end

begin 'login without a terminal, a token or a known registry is an error'
gpux login; code 2; err_has '--token-stdin'
gpux_with_stdin '' login --token-stdin; code 2; err_has 'The token is empty'
gpux login --token a --token-stdin; code 2
gpux login zoo --token x; code 1; err_has "Unsupported registry 'zoo'"
HF_ENDPOINT=https://no-such-host.invalid gpux login --token hf_goodtoken; code 3; end

begin 'a variable that wins over the stored token is warned about'
HF_TOKEN=hf_goodtoken gpux login --token hf_goodtoken; code 0; err_has 'Warning: HF_TOKEN is set and is used instead'
HF_TOKEN=hf_goodtoken gpux logout; code 0; err_has 'HF_TOKEN is set and still gives a token'; end

summary
