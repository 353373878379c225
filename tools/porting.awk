# SPDX-License-Identifier: MIT
#
# Results of test runs, each begun by "file NAME", to the rows of PORTING: see tools/porting.  A row is a triplet with an engine
# and how accesses are known there; runs that have these in common share it.

function cpu_of(triplet,   cpu) {
	cpu = triplet
	sub(/-.*/, "", cpu)
	if (cpu ~ /^i[3-6]86$/)
		return "i386"
	if (cpu == "powerpc64le")
		return "ppc64le"
	return cpu
}

function rest(from,   text) {
	text = $0
	while (--from)
		sub(/^[^ ]+ /, "", text)
	return text
}

# Adds a word to a list, once.
function listed(list, word, separator) {
	if (word == "" || index(separator list separator, separator word separator))
		return list
	return list == "" ? word : list separator word
}

# What is known of all accesses, or of each kind.
function access_summary(   all) {
	all = access["read"]
	if (access["write"] == all && access["write-to-read-only"] == all && access["execute"] == all)
		return all
	if (access["read"] == access["write"] && access["write"] == access["write-to-read-only"])
		return all ", fetches by " access["execute"]
	return "reads by " all ", writes by " access["write"] ", fetches by " access["execute"]
}

function compiler_name(line) {
	if (line ~ /clang/)
		return "clang " version_in(line)
	return "gcc " version_in(line)
}

function version_in(line) {
	return match(line, /[0-9]+\.[0-9]+\.[0-9]+/) ? substr(line, RSTART, RLENGTH) : "?"
}

# What runs say of a part that has tests of its own: one that fails outweighs all, one that passes those that were skipped.
function better(a, b) {
	if (a == "NO" || b == "NO")
		return "NO"
	return a == "yes" || b == "yes" ? "yes" : "no"
}

function leave_out(what) {
	if (!(what in left))
		left_order[++lefts] = what
	left[what] = listed(left[what], cpu_of(triplet), ", ")
	emulated[cpu_of(triplet)] = 1
}

function outcome(word) {
	return word == "failed" ? "NO" : word == "passed" ? "yes" : "no"
}

# A run is over: it goes to the rows of its engines.
function finish(   engine, key, how) {
	if (triplet == "")
		return
	if (libc ~ /^musl/)
		sub(/-gnu/, "-musl", triplet)
	for (engine in engines) {
		key = triplet "\t" engine "\t" access_summary()
		if (!(key in hows)) {
			order[++rows] = key
			hows[key] = ""
		}
		faults[key] = listed(faults[key], failures, ", ")
		hows[key] = listed(hows[key], run, "; ")
		if (run == "native") {
			hows[key] = listed(hows[key], user == "root" ? "as root" : "as an ordinary user", "; ")
			hows[key] = listed(hows[key], denied ? "with calls denied by seccomp" : "", "; ")
		}
		stacks[key] = better(stacks[key], stack_tests)
		coroutines[key] = better(coroutines[key], coro_tests)
		hows[key] = listed(hows[key], paged ? "with larger pages assumed" : "", "; ")
		hows[key] = listed(hows[key], libc, "; ")
		hows[key] = listed(hows[key], compiler_name(compiler) (flags == "-g -O2" ? "" : " " flags), "; ")
		seen_cpu[cpu_of(triplet)] = 1
	}
	triplet = ""
}

# One file's facts start from nothing.
$1 == "file" {
	finish()
	split("", access)
	split("", engines)
	failures = stack_tests = coro_tests = ""
	denied = paged = 0
	next
}
$1 == "triplet" { triplet = $2 }
$1 == "run" { run = rest(2) }
$1 == "compiler" { compiler = rest(2) }
$1 == "flags" { flags = rest(2) }
$1 == "libc" { libc = rest(2) }
$1 == "user" { user = $2 }
$1 == "access" { access[$2] = rest(3) }
$1 == "engine" && $3 == "works" { engines[$2] = 1 }
$1 == "frames" {
	if (!($2 in frames))
		frame_order[++n_frames] = $2
	frames[$2] = $3
}
$1 == "test" && $3 == "failed" { failures = listed(failures, $2 " fails", ", ") }
$1 == "test" && $2 ~ /^test_stack/ { stack_tests = better(stack_tests, outcome($3)) }
$1 == "test" && $2 ~ /^test_coro/ { coro_tests = better(coro_tests, outcome($3)) }
$1 == "test" && $2 == "seccomp" && $3 == "passed" { denied = 1 }
$1 == "test" && $2 == "page_sizes" && $3 == "passed" { paged = 1 }
$1 == "test" && $3 == "skipped:" && /: not run on / {
	reason = $0
	sub(/.*: not run on [^:]*: /, "", reason)
	leave_out($2 ": " reason)
}
$1 == "left_out" { leave_out(rest(2)) }

# Breaks the last column; the others are narrow.
function print_row(triplet, engine, fault, stack, coroutine, known, how,   n, word, i, line) {
	line = sprintf("%-26s %-11s %-7s %-7s %-11s", triplet, engine, fault, stack, coroutine)
	n = split("by " known ". " how ".", word, " ")
	for (i = 1; i <= n; i++) {
		if (length(line) + 1 + length(word[i]) > 120) {
			print line
			line = sprintf("%66s", "")
		}
		line = line " " word[i]
	}
	print line
}

END {
	finish()
	print_head()
	for (i = 1; i <= rows; i++) {
		split(order[i], field, "\t")
		cpu = cpu_of(field[1])
		known = field[3]
		if (known !~ /^hardware/ && frames[cpu] == "hardware")
			known = known "; hardware in frames"
		if (faults[order[i]] != "")
			hows[order[i]] = hows[order[i]] "; " faults[order[i]]
		print_row(field[1], field[2], faults[order[i]] == "" ? "yes" : "NO", stacks[order[i]], coroutines[order[i]], known,
			hows[order[i]])
	}
	for (i = 1; i <= n_frames; i++) {
		cpu = frame_order[i]
		if (!(cpu in seen_cpu))
			print_row(cpu, "-", "-", "-", "-", frames[cpu] " in frames", "frames replayed only")
	}
	print_left()
}

function print_head() {
	printf "%-26s %-11s %-7s %-7s %-11s %s\n", "triplet", "engine", "faults", "stacks", "coroutines", "access known; how tested"
	print ""
}

function print_left(   i, what, cpus, n) {
	for (i in emulated)
		n++
	for (i = 1; i <= lefts; i++) {
		if (i == 1)
			print "\nLeft out of these runs, because of the emulator, on all CPUs that are emulated or on some:\n"
		what = left_order[i]
		cpus = split(left[what], field, ", ") == n ? "" : " (" left[what] ")"
		print "  " what cpus
	}
}
