/* SPDX-License-Identifier: MIT
 *
 * Every instruction decoder of lib/core/arch against a disassembler that knows nothing of ours: encodings are generated, all
 * opcode bits through and the rest at random, objdump names them, and the name says whether memory is read or written.  Runs
 * on every host; a CPU whose disassembler is not there is skipped with a word (binutils-multiarch has nearly all, LoongArch
 * needs llvm-objdump 17 or newer).  Exits with 77 if none is there. */
#include <fnmatch.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "emulated.h"
#include "insn_cpus.h"
#include "insn_object.h"

static int mismatches;

static const char *access_text(enum vpager_access access)
{
	return access == VPAGER_ACCESS_READ ? "read" : access == VPAGER_ACCESS_WRITE ? "write" : "unknown";
}

static bool agrees(char effect, enum vpager_access access)
{
	switch (effect | 0x20) {
	case 'r':
		return access == VPAGER_ACCESS_READ;
	case 'w':
		return access == VPAGER_ACCESS_WRITE;
	case 'n':
	case 'u':
		return access == VPAGER_ACCESS_UNKNOWN;
	}
	return true;
}

static void mismatch(const struct cpu *cpu, const char *text, const unsigned char *bytes, const char *why)
{
	if (mismatches++ < 40) {
		printf("%s: %02x%02x %02x%02x %02x%02x %02x%02x  %s: %s\n", cpu->name, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
		       bytes[5], bytes[6], bytes[7], text, why);
	}
}

static bool has_memory_operand(const struct cpu *cpu, const char *text)
{
	for (const char *sign = cpu->memory; *sign; sign += strspn(sign, " ")) {
		size_t len = strcspn(sign, " ");

		for (const char *p = text; *p; p++)
			if (strncmp(p, sign, len) == 0)
				return true;
		sign += len;
	}
	return false;
}

/* The alternative of the rule that fits, -1 if none does. */
static int fitting(const char *pattern, const char *text, size_t mnemonic)
{
	for (int k = 0; *pattern; k++) {
		size_t len = strcspn(pattern, "|");
		char one[64];

		if (len == mnemonic && memcmp(pattern, text, len) == 0)
			return k;
		if (strcspn(pattern, "*[ ") < len && len < sizeof one) {
			memcpy(one, pattern, len);
			one[len] = '\0';
			if (fnmatch(one, text, 0) == 0)
				return k;
		}
		pattern += len + (pattern[len] == '|');
	}
	return -1;
}

static bool hit[RULES][ALTERNATIVES];

/* text: "mnemonic operands", one blank between. */
static void compare(const struct cpu *cpu, const char *text, const unsigned char *bytes)
{
	enum vpager_access access = cpu->decode(bytes);
	const struct rule *rule = cpu->rules;
	size_t mnemonic = strcspn(text, " ");
	int k = -1;

	if (text[0] == '.' || text[0] == '<' || strstr(text, "(bad)") || strstr(text, "undefined")) /* no instruction at all */
		return;
	while (rule->pattern && (k = fitting(rule->pattern, text, mnemonic)) < 0)
		rule++;
	if (rule->pattern) {
		hit[rule - cpu->rules][k] = true;
		if (!agrees(rule->effect, access))
			mismatch(cpu, text, bytes, access_text(access));
	} else if (has_memory_operand(cpu, text)) {
		mismatch(cpu, text, bytes, "an operand in memory, and no rule for it");
	} else if (access != VPAGER_ACCESS_UNKNOWN) {
		mismatch(cpu, text, bytes, "no instruction known to touch memory");
	}
}

/* "  addr:<tab>mnemonic<tab>operands" into addr and "mnemonic operands". */
static bool parse_line(char *line, unsigned long *address)
{
	char *end, *to = line;
	bool blank = false;

	*address = strtoul(line, &end, 16);
	if (end == line || *end != ':')
		return false;
	for (char *p = end + 1 + strspn(end + 1, " \t"); *p && *p != '\n'; p++) {
		if (*p == ' ' || *p == '\t') {
			blank = true;
			continue;
		}
		if (blank)
			*to++ = ' ';
		blank = false;
		*to++ = *p;
	}
	*to = '\0';
	return true;
}

static bool tool_has(const char *tool, const struct cpu *cpu, const char *object)
{
	char command[512], line[256];
	FILE *f;
	bool ok = false;

	snprintf(command, sizeof command, "%s -d %s %s 2>/dev/null | head -12", tool, cpu->options, object);
	f = popen(command, "r");
	while (f && fgets(line, sizeof line, f)) {
		unsigned long address;

		ok = ok || parse_line(line, &address);
	}
	return f && pclose(f) == 0 && ok;
}

/* The first tool that disassembles the object; $OBJDUMP before all others.  NULL: none. */
static const char *find_tool(const struct cpu *cpu, const char *object)
{
	static char tools[512];
	const char *own = getenv("OBJDUMP");

	snprintf(tools, sizeof tools, "%s %s", own ? own : "", cpu->tools);
	for (char *tool = strtok(tools, " "); tool; tool = strtok(NULL, " "))
		if (tool_has(tool, cpu, object))
			return tool;
	return NULL;
}

/* Alternatives that nothing fitted: the generator, or the rule, is not what it seems. */
static void report_unused(const struct cpu *cpu)
{
	for (size_t i = 0; cpu->rules[i].pattern; i++) {
		const char *pattern = cpu->rules[i].pattern;

		for (int k = 0; *pattern; k++) {
			int len = (int)strcspn(pattern, "|");

			if (!hit[i][k] && cpu->rules[i].effect != '-' && !(cpu->rules[i].effect >= 'A' && cpu->rules[i].effect <= 'Z')) {
				printf("%s: nothing generated is \"%.*s\"\n", cpu->name, len, pattern);
				mismatches++;
			}
			pattern += len + (pattern[len] == '|');
		}
	}
}

static bool run_tool(const struct cpu *cpu, const char *tool, const char *object)
{
	char command[512], line[1024];
	unsigned long address, seen = 0;
	int before = mismatches;
	FILE *f;

	memset(hit, 0, sizeof hit);
	snprintf(command, sizeof command, "%s -d -z --no-show-raw-insn %s %s", tool, cpu->options, object);
	f = popen(command, "r");
	while (f && fgets(line, sizeof line, f)) {
		if (!parse_line(line, &address) || address % STRIDE || address >= code_len)
			continue;
		seen++;
		compare(cpu, line, code + address);
	}
	if (!f || pclose(f) != 0 || seen < code_len / STRIDE * 9 / 10) {
		printf("%s: %s ended early\n", cpu->name, command);
		return false;
	}
	report_unused(cpu);
	printf("%s: %lu encodings compared with %s, %d differ\n", cpu->name, seen, tool, mismatches - before);
	return mismatches == before;
}

/* 0 passed, 1 failed, 77 skipped. */
static int check_cpu(const struct cpu *cpu)
{
	char object[] = "/tmp/vpager-insn-XXXXXX";
	int fd = mkstemp(object), result;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	const char *tool;

	if (!f)
		return 1;
	seed = 0x9e3779b97f4a7c15;
	code_len = 0;
	cpu->generate();
	write_object(cpu, f);
	fclose(f);
	tool = find_tool(cpu, object);
	if (!tool)
		printf("%s: skipped: none of these can disassemble it: %s\n", cpu->name, cpu->tools);
	result = !tool ? 77 : run_tool(cpu, tool, object) ? 0 : 1;
	unlink(object);
	return result;
}

/* Arguments: only these CPUs. */
int main(int argc, char **argv)
{
	int passed = 0, failed = 0, skipped = 0;

	if (is_emulated()) {
		printf("skipped: nothing here depends on the CPU, and it takes long under an emulator\n");
		return 77;
	}
	for (size_t i = 0; i < sizeof cpus / sizeof cpus[0]; i++) {
		bool wanted = argc == 1;
		int result;

		for (int k = 1; k < argc; k++)
			wanted = wanted || strcmp(argv[k], cpus[i].name) == 0;
		if (!wanted)
			continue;
		result = check_cpu(&cpus[i]);
		passed += result == 0;
		failed += result == 1;
		skipped += result == 77;
	}
	free(code);
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed ? 1 : passed ? 0 : 77;
}
