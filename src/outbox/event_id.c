/*-------------------------------------------------------------------------
 *
 * event_id.c
 *	  Identities of events: UUID version 7 (RFC 9562).
 *
 * Called by the check trigger for a row without event_id.
 *
 * Layout: 48 bits of Unix milliseconds, then the 12 bits of rand_a as the
 * fraction of the millisecond (RFC 9562, 6.2, method 3), then 62 random bits.
 * The upper 60 bits together are a clock of 1/4096 ms that never repeats
 * within a backend: when time stands still or goes backwards, the previous
 * reading plus one is taken.  So ids of one backend ascend, a primary key on
 * them grows at its right edge, and 62 random bits keep backends apart.
 *
 * Random bytes are fetched a block at a time, for a call into the generator
 * costs more than the rest of an id.  The block is filled in the backend
 * itself, never before its fork, so no two backends share one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#include "utils/timestamp.h"

#include "outbox/event_id.h"

/* Ticks of 1/4096 ms. */
#define TICKS_PER_MS	4096
#define UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

static uint64 last_tick = 0;

static uint64
next_tick(TimestampTz now)
{
	uint64		usecs = (uint64) (now + UNIX_EPOCH_USECS);
	uint64		tick = usecs / 1000 * TICKS_PER_MS +
		usecs % 1000 * TICKS_PER_MS / 1000;

	last_tick = Max(tick, last_tick + 1);
	return last_tick;
}

static uint64
random_bits(void)
{
	static uint64 block[64];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(block, sizeof(block)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values for an event id")));
		left = lengthof(block);
	}
	return block[--left];
}

void
mo_event_id_generate(TimestampTz now, pg_uuid_t *id)
{
	uint64		tick = next_tick(now);
	uint64		high = tick / TICKS_PER_MS << 16 |
		UINT64CONST(0x7000) | tick % TICKS_PER_MS;
	uint64		low = UINT64CONST(0x8000000000000000) |
		(random_bits() >> 2);

	high = pg_hton64(high);
	low = pg_hton64(low);
	memcpy(id->data, &high, sizeof(high));
	memcpy(id->data + sizeof(high), &low, sizeof(low));
}
