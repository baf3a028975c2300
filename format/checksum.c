/*
 * CRC-32C three ways that must agree: tables of eight bytes at a time, which run everywhere, and the
 * instructions of x86-64 and ARMv8 where the processor has them. A resync search checksums a header
 * at every tag it meets, so the speed is not for nothing.
 *
 * The choice and the tables are made before main() or at dlopen(), so that no call needs a lock.
 */
#include "format/checksum.h"

#include "format/bytes.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

#define POLYNOMIAL 0x82F63B78U          /* Castagnoli, bits reversed */

/* tables[k][b]: what byte b does to the register when k more bytes follow it. */
static uint32_t tables[8][256];

static uint32_t crc_tables(uint32_t crc, const uint8_t *p, size_t size)
{
	for (; size >= 8; size -= 8, p += 8) {
		const uint32_t low = crc ^ mt_load_u32(p);
		const uint32_t high = mt_load_u32(p + 4);
		crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^
		      tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
		      tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^
		      tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
	}
	for (; size; size--)
		crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 255];
	return crc;
}

static uint32_t (*crc_best)(uint32_t crc, const uint8_t *p, size_t size) = crc_tables;

#if defined(__x86_64__)

__attribute__((target("sse4.2")))
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t size)
{
	uint64_t wide = crc;
	for (; size >= 8; size -= 8, p += 8)
		wide = __builtin_ia32_crc32di(wide, mt_load_u64(p));
	crc = (uint32_t)wide;
	for (; size; size--)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

static bool have_hardware(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2");
}

#elif defined(__aarch64__)

/* By name and not by <arm_acle.h>, which older compilers leave empty without -march=...+crc. */
static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t size)
{
	for (; size >= 8; size -= 8, p += 8)
		__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(mt_load_u64(p)));
	for (; size; size--, p++)
		__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)*p));
	return crc;
}

static bool have_hardware(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32;
}

#else

#define crc_hardware crc_tables

static bool have_hardware(void)
{
	return false;
}

#endif

__attribute__((constructor))
static void checksum_init(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		tables[0][byte] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (int byte = 0; byte < 256; byte++)
			tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
	if (have_hardware())
		crc_best = crc_hardware;
}

uint32_t mt_crc32c(uint32_t crc, const void *data, size_t size)
{
	return ~crc_best(~crc, data, size);
}

uint32_t mt_crc32c_portable(uint32_t crc, const void *data, size_t size)
{
	return ~crc_tables(~crc, data, size);
}
