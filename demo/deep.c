/* SPDX-License-Identifier: MIT
 *
 * deep [OPTION]... FILE...: checks JSON files by recursive descent, on a stack that grows as it is needed.  A document that is
 * nested too deeply for it is one more error, with its place in the file, and the next file is parsed on the same stack.
 * Nothing in the parser counts levels to be safe, and none of its functions knows on which stack it runs. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vpager.h>

#define HOSTILE_LEVELS 1000000
#define STACK_MIB 8

struct parse {
	const unsigned char *begin, *at, *end;
	size_t values, depth, deepest;
	const char *wrong; /* at `at'; NULL: nothing is */
};

/* ---- the parser: RFC 8259.  false: p->wrong says why ---- */

static bool parse_value(struct parse *p);

static bool wrong(struct parse *p, const char *what)
{
	p->wrong = what;
	return false;
}

/* 0 at the end, which is nothing that JSON has outside of strings. */
static unsigned char peek(const struct parse *p)
{
	return p->at < p->end ? *p->at : 0;
}

static bool take(struct parse *p, unsigned char c)
{
	if (p->at == p->end || *p->at != c)
		return false;
	p->at++;
	return true;
}

static void skip_space(struct parse *p)
{
	while (peek(p) == ' ' || peek(p) == '\n' || peek(p) == '\t' || peek(p) == '\r')
		p->at++;
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool parse_digits(struct parse *p)
{
	if (!is_digit(peek(p)))
		return wrong(p, "a digit is missing");
	while (is_digit(peek(p)))
		p->at++;
	return true;
}

static bool parse_number(struct parse *p)
{
	take(p, '-');
	if (!take(p, '0') && !parse_digits(p))
		return false;
	if (take(p, '.') && !parse_digits(p))
		return false;
	if (!take(p, 'e') && !take(p, 'E'))
		return true;
	if (!take(p, '+'))
		take(p, '-');
	return parse_digits(p);
}

static bool parse_word(struct parse *p, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
		return wrong(p, "no value");
	p->at += len;
	return true;
}

static bool parse_escape(struct parse *p)
{
	if (peek(p) == 'u') {
		p->at++;
		for (int i = 0; i < 4; i++, p->at++)
			if (peek(p) == 0 || !strchr("0123456789abcdefABCDEF", peek(p)))
				return wrong(p, "no hexadecimal digit");
		return true;
	}
	if (peek(p) == 0 || !strchr("\"\\/bfnrt", peek(p)))
		return wrong(p, "no such escape sequence");
	p->at++;
	return true;
}

/* A character of several bytes: Unicode 15, table 3-7. */
static bool parse_utf8(struct parse *p)
{
	unsigned char first = *p->at, least = 0x80, most = 0xbf;
	int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;

	if (first < 0xc2 || first > 0xf4)
		return wrong(p, "not UTF-8");
	least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : least;
	most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : most;
	for (p->at++; more > 0; more--, p->at++, least = 0x80, most = 0xbf)
		if (peek(p) < least || peek(p) > most)
			return wrong(p, "not UTF-8");
	return true;
}

static bool parse_character(struct parse *p)
{
	if (p->at == p->end)
		return wrong(p, "the string does not end");
	if (*p->at < ' ')
		return wrong(p, "a control character in a string");
	if (*p->at >= 0x80)
		return parse_utf8(p);
	return *p->at++ != '\\' || parse_escape(p);
}

static bool parse_string(struct parse *p)
{
	if (!take(p, '"'))
		return wrong(p, "no string");
	while (!take(p, '"'))
		if (!parse_character(p))
			return false;
	return true;
}

static bool parse_member(struct parse *p)
{
	skip_space(p);
	if (!parse_string(p))
		return false;
	skip_space(p);
	if (!take(p, ':'))
		return wrong(p, "no colon after a name");
	return parse_value(p);
}

/* What is between [ and ], or { and }. */
static bool parse_list(struct parse *p, bool (*item)(struct parse *), unsigned char close)
{
	skip_space(p);
	if (take(p, close))
		return true;
	do {
		if (!item(p))
			return false;
		skip_space(p);
	} while (take(p, ','));
	return take(p, close) || wrong(p, "neither a comma nor the end of a list");
}

static bool parse_nested(struct parse *p, bool (*item)(struct parse *), unsigned char close)
{
	p->at++;
	p->depth++;
	if (p->deepest < p->depth)
		p->deepest = p->depth;
	if (!parse_list(p, item, close))
		return false;
	p->depth--;
	return true;
}

static bool parse_value(struct parse *p)
{
	skip_space(p);
	p->values++;
	switch (peek(p)) {
	case '[':
		return parse_nested(p, parse_value, ']');
	case '{':
		return parse_nested(p, parse_member, '}');
	case '"':
		return parse_string(p);
	case 't':
		return parse_word(p, "true");
	case 'f':
		return parse_word(p, "false");
	case 'n':
		return parse_word(p, "null");
	default:
		return is_digit(peek(p)) || peek(p) == '-' ? parse_number(p) : wrong(p, "no value");
	}
}

/* For vpager_stack_call. */
static void parse_document(void *arg)
{
	struct parse *p = arg;

	if (!parse_value(p))
		return;
	skip_space(p);
	if (p->at < p->end)
		wrong(p, "something after the end");
}

/* ---- documents ---- */

struct document {
	const char *name;
	unsigned char *bytes;
	size_t len;
};

static bool read_all(FILE *file, struct document *document)
{
	size_t room = 0, n;

	do {
		if (document->len == room) {
			unsigned char *larger = realloc(document->bytes, room = room * 2 + 65536);

			if (!larger)
				return false;
			document->bytes = larger;
		}
		n = fread(document->bytes + document->len, 1, room - document->len, file);
		document->len += n;
	} while (n);
	return !ferror(file);
}

static bool read_file(const char *path, struct document *document)
{
	FILE *file = fopen(path, "re");
	bool ok;
	int err;

	*document = (struct document){.name = path};
	if (!file)
		return false;
	ok = read_all(file, document);
	err = errno;
	fclose(file);
	errno = err;
	return ok;
}

/* [[[...]]] */
static bool make_hostile(size_t levels, struct document *document)
{
	*document = (struct document){.name = "(hostile)", .bytes = malloc(2 * levels), .len = 2 * levels};
	if (!document->bytes)
		return false;
	memset(document->bytes, '[', levels);
	memset(document->bytes + levels, ']', levels);
	return true;
}

/* ---- checking them ---- */

static size_t line_of(const struct parse *p)
{
	size_t line = 1;

	for (const unsigned char *c = p->begin; c < p->at; c++)
		line += *c == '\n';
	return line;
}

static bool complain(const char *name, const struct parse *p, const char *what)
{
	fprintf(stderr, "deep: %s: byte %zu, line %zu, %zu levels deep: %s\n", name, (size_t)(p->at - p->begin), line_of(p), p->depth,
	        what);
	return false;
}

static bool check_on(struct vpager_stack *stack, const struct document *document)
{
	struct parse p = {.begin = document->bytes, .at = document->bytes, .end = document->bytes + document->len};
	struct vpager_fault fault = {.size = sizeof fault};
	int err = vpager_stack_call(stack, parse_document, &p, &fault);
	size_t kib = vpager_stack_high_water(stack) >> 10;
	char what[80];

	if (err == -EOVERFLOW) {
		/* p is not on that stack: it says how far the parser came. */
		snprintf(what, sizeof what, "nested too deeply for %zu KiB of stack", kib);
		return complain(document->name, &p, what);
	}
	if (err)
		return complain(document->name, &p, strerror(-err));
	if (p.wrong)
		return complain(document->name, &p, p.wrong);
	printf("%s: %zu values, %zu levels, %zu KiB of stack\n", document->name, p.values, p.deepest, kib);
	return true;
}

/* The pool gives the same stack each time, whatever the one before did to it. */
static bool check(struct vpager_stack_pool *pool, const struct document *document)
{
	struct vpager_stack *stack;
	int err = vpager_stack_get(&stack, pool);
	bool ok;

	if (err) {
		fprintf(stderr, "deep: no stack: %s\n", strerror(-err));
		return false;
	}
	ok = check_on(stack, document);
	vpager_stack_put(stack);
	return ok;
}

static bool check_file(struct vpager_stack_pool *pool, const char *path)
{
	struct document document;
	bool ok = read_file(path, &document);

	if (ok)
		ok = check(pool, &document);
	else
		fprintf(stderr, "deep: %s: %s\n", path, strerror(errno));
	free(document.bytes);
	return ok;
}

static bool check_hostile(struct vpager_stack_pool *pool, size_t levels)
{
	struct document document;
	bool ok = make_hostile(levels, &document);

	if (ok)
		ok = check(pool, &document);
	else
		fprintf(stderr, "deep: %zu levels: %s\n", levels, strerror(errno));
	free(document.bytes);
	return ok;
}

/* ---- the command line ---- */

static int usage(FILE *to, int status)
{
	fprintf(to,
	        "deep [OPTION]... FILE...\n"
	        "\n"
	        "Checks JSON files.\n"
	        "\n"
	        "  --hostile[=LEVELS]  first one made for the purpose, %d levels deep\n"
	        "  --stack=MIB         let the stack grow to that (default %d)\n"
	        "  --help              this text\n"
	        "\n"
	        "Exit status: 0 all are valid; 1 not all of them are; 2 the command line makes no sense.\n",
	        HOSTILE_LEVELS, STACK_MIB);
	return status;
}

static size_t number(const char *text, size_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!is_digit((unsigned char)text[0]) || *end || value == 0 || value > most)
		exit(usage(stderr, 2));
	return value;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"hostile", optional_argument, NULL, 'h'},
	                                      {"stack", required_argument, NULL, 's'},
	                                      {"help", no_argument, NULL, 'H'},
	                                      {0}};
	struct vpager_stack_pool_options options = {
	    .size = sizeof options, .limit_bytes = (size_t)STACK_MIB << 20, .max_stacks = 1};
	struct vpager_stack_pool *pool;
	size_t hostile_levels = 0;
	bool ok = true;
	int option, err;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 'h')
			hostile_levels = optarg ? number(optarg, SIZE_MAX / 4) : HOSTILE_LEVELS;
		else if (option == 's')
			options.limit_bytes = number(optarg, SIZE_MAX >> 24) << 20;
		else
			return option == 'H' ? usage(stdout, 0) : usage(stderr, 2);
	}
	if (optind == argc && !hostile_levels)
		return usage(stderr, 2);
	err = vpager_stack_pool_create(&pool, &options);
	if (err) {
		fprintf(stderr, "deep: no stacks: %s\n", strerror(-err));
		return 1;
	}
	if (hostile_levels)
		ok = check_hostile(pool, hostile_levels);
	for (int i = optind; i < argc; i++)
		ok = check_file(pool, argv[i]) && ok;
	vpager_stack_pool_destroy(pool);
	return ok ? 0 : 1;
}
