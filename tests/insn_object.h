/* SPDX-License-Identifier: MIT
 *
 * For test_insn: an object file around generated instructions, with no more in it than a disassembler needs. */
#ifndef VPAGER_TESTS_INSN_OBJECT_H
#define VPAGER_TESTS_INSN_OBJECT_H

#include <stdio.h>
#include "insn_cpus.h"

static void put16(const struct cpu *cpu, unsigned char *p, uint16_t v)
{
	p[cpu->big_endian] = (unsigned char)v;
	p[!cpu->big_endian] = (unsigned char)(v >> 8);
}

static void put32(const struct cpu *cpu, unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[cpu->big_endian ? 3 - i : i] = (unsigned char)(v >> 8 * i);
}

/* A word of the file's class; returns the place behind it. */
static unsigned char *put_word(const struct cpu *cpu, unsigned char *p, uint64_t v)
{
	if (cpu->is_32) {
		put32(cpu, p, (uint32_t)v);
		return p + 4;
	}
	put32(cpu, p + (cpu->big_endian ? 4 : 0), (uint32_t)v);
	put32(cpu, p + (cpu->big_endian ? 0 : 4), (uint32_t)(v >> 32));
	return p + 8;
}

enum { ELF_PROGBITS = 1, ELF_STRTAB = 3, ELF_RISCV_ATTRIBUTES = 0x70000003 };

static void put_section(const struct cpu *cpu, FILE *f, uint32_t name, uint32_t type, uint64_t flags, uint64_t offset,
                        uint64_t size)
{
	unsigned char header[64] = {0}, *p = header;

	put32(cpu, p, name);
	put32(cpu, p + 4, type);
	p = put_word(cpu, p + 8, flags);
	p = put_word(cpu, p, 0);
	p = put_word(cpu, p, offset);
	p = put_word(cpu, p, size);
	p = put_word(cpu, p + 8, type == ELF_PROGBITS ? STRIDE : type == 0 ? 0 : 1);
	p = put_word(cpu, p, 0);
	fwrite(header, 1, (size_t)(p - header), f);
}

/* "A", then the vendor's subsection of the file's attributes: tag 5 is the architecture (RISC-V ELF psABI). */
static size_t riscv_attributes(const struct cpu *cpu, unsigned char *out)
{
	size_t arch = strlen(cpu->riscv_arch) + 1, file = 1 + 4 + 1 + arch, vendor = 4 + 6 + file;

	out[0] = 'A';
	put32(cpu, out + 1, (uint32_t)vendor);
	memcpy(out + 5, "riscv", 6);
	out[11] = 1;
	put32(cpu, out + 12, (uint32_t)file);
	out[16] = 5;
	memcpy(out + 17, cpu->riscv_arch, arch);
	return 1 + vendor;
}

static void write_object(const struct cpu *cpu, FILE *f)
{
	static const char names[] = "\0.text\0.riscv.attributes\0.names";
	unsigned char header[64] = {0x7f, 'E', 'L', 'F', cpu->is_32 ? 1 : 2, cpu->big_endian ? 2 : 1, 1}, attributes[512], *p;
	size_t header_len = cpu->is_32 ? 52 : 64, attributes_len = cpu->riscv_arch ? riscv_attributes(cpu, attributes) : 0;
	size_t names_at = header_len + code_len, attributes_at = names_at + sizeof names;
	size_t sections_at = (attributes_at + attributes_len + 7) & ~(size_t)7;

	put16(cpu, header + 16, 1); /* relocatable */
	put16(cpu, header + 18, cpu->machine);
	put32(cpu, header + 20, 1);
	p = put_word(cpu, header + 24, 0);
	p = put_word(cpu, p, 0);
	p = put_word(cpu, p, sections_at);
	put32(cpu, p, cpu->elf_flags);
	put16(cpu, p + 4, (uint16_t)header_len);
	put16(cpu, p + 10, cpu->is_32 ? 40 : 64);
	put16(cpu, p + 12, 4);
	put16(cpu, p + 14, 2);
	fwrite(header, 1, header_len, f);
	fwrite(code, 1, code_len, f);
	fwrite(names, 1, sizeof names, f);
	fwrite(attributes, 1, attributes_len, f);
	fwrite("\0\0\0\0\0\0\0", 1, sections_at - attributes_at - attributes_len, f);
	put_section(cpu, f, 0, 0, 0, 0, 0);
	put_section(cpu, f, 1, ELF_PROGBITS, 6, header_len, code_len); /* allocated, executable */
	put_section(cpu, f, 25, ELF_STRTAB, 0, names_at, sizeof names);
	put_section(cpu, f, 7, cpu->riscv_arch ? ELF_RISCV_ATTRIBUTES : ELF_PROGBITS, 0, attributes_at, attributes_len);
}

#endif
