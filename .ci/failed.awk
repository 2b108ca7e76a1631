# From the log of `bun test`: of every failed test all that was said while it ran (its error, the difference, the stack),
# once more and last, since what keeps only the end of a log would lose it among thousands of lines about tests that passed.
# `room`: characters for all of them together; each has the same share, its beginning and its end.
BEGIN { if (!room) room = 7500; most = 150; said = 0; found = 0; open = 0 }

# Keeps a line of whatever runs at present; what a test says comes before its own line.
function keep(line) { lines[++said] = line }
function forget() { said = 0 }

# All lines so far are of the failure `name`.
function failure(name,   i, text, left) {
  left = said > most ? said - most : 0
  text = "==== " file " " name "\n"
  for (i = 1; i <= said; i++) {
    if (left && i == most / 2 + 1) { text = text "... " left " lines more ...\n"; i += left }
    text = text lines[i] "\n"
  }
  details[++found] = text
  forget()
}

function cut(text, share) {
  if (length(text) <= share) return text
  return substr(text, 1, int(share * 2 / 3)) "\n... cut ...\n" substr(text, length(text) - int(share / 3) + 1)
}

over { next }
# What some services fold; it stands before a file's name there.
{ sub(/^::group::/, "") }
/^::endgroup::$/ { next }
/^[0-9]+ tests? failed:$/ || /^ --seed=/ { over = 1; next }
/\.test\.ts:$/ && !/^ / { file = $0; sub(/:$/, "", file); forget(); next }
/^# Unhandled error between tests/ { forget(); open = 1 }
open && /^-------/ { if (open++ == 2) { open = 0; failure("between tests"); next } }
/^\((pass|skip|todo)\) / { forget(); next }
/^\(fail\) / { failure(substr($0, 8)); next }
/^  \^ / && found && !said { details[found] = details[found] $0 "\n"; next }
{ keep($0) }

# `print`, since some awks' printf has a buffer of 8 KiB.
END { for (i = 1; i <= found; i++) print "\n" cut(details[i], room / found) }
