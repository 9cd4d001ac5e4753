/*-------------------------------------------------------------------------
 *
 * producer_partition.c
 *	  Which partition a key belongs to.
 *
 * Called by the publisher for every record with a key.  Must agree with
 * Java's default partitioner, so that our events share a partition with
 * those that other producers write under the same key.  Pure arithmetic; any
 * thread.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "publisher/producer.h"

/* MurmurHash2 with the seed and the constants of Kafka's Java client. */
static uint32
murmur2(const unsigned char *data, int length)
{
	const uint32 m = 0x5bd1e995;
	const int	r = 24;
	uint32		h = 0x9747b28c ^ (uint32) length;
	int			whole = length / 4 * 4;

	for (int i = 0; i < whole; i += 4)
	{
		/* Little-endian, whatever this machine is. */
		uint32		k = data[i] | (uint32) data[i + 1] << 8 |
			(uint32) data[i + 2] << 16 | (uint32) data[i + 3] << 24;

		k *= m;
		k ^= k >> r;
		k *= m;
		h *= m;
		h ^= k;
	}

	switch (length - whole)
	{
		case 3:
			h ^= (uint32) data[whole + 2] << 16;
			/* FALLTHROUGH */
		case 2:
			h ^= (uint32) data[whole + 1] << 8;
			/* FALLTHROUGH */
		case 1:
			h ^= data[whole];
			h *= m;
	}

	h ^= h >> 13;
	h *= m;
	h ^= h >> 15;
	return h;
}

int32
mo_producer_partition(const void *key, int length, int partitions)
{
	Assert(partitions > 0);
	return (int32) (murmur2(key, length) & 0x7fffffff) % partitions;
}
