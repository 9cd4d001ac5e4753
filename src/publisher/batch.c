/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Events encoded for Kafka and kept until they are committed there.
 *
 * Filled by the decoding callbacks, emptied by the pipeline.  librdkafka
 * keeps pointers into a batch between produce and delivery report, so
 * nothing in it moves once it is in flight, and it is reset only when its
 * Kafka transaction is committed.
 *
 * Memory comes from chunks that a batch keeps: allocation is a pointer bump,
 * and a stream in steady state allocates nothing.  A batch that had to grow
 * for one large transaction gives the surplus back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/memutils.h"

#include "publisher/batch.h"

#define CHUNK_SIZE		(256 * 1024)
#define CHUNKS_KEPT		40		/* about 10 MB */
#define EVENTS_KEPT		32768

typedef struct Chunk
{
	struct Chunk *next;
	Size		size;			/* of data */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Chunk;

MoBatch *
mo_batch_create(void)
{
	return MemoryContextAllocZero(TopMemoryContext, sizeof(MoBatch));
}

/* Empties the batch; its memory is reused. */
void
mo_batch_reset(MoBatch *batch)
{
	Chunk	   *chunks = batch->chunks;
	Chunk	   *kept = batch->spare;
	MoEvent    *events = batch->events;
	int			capacity = batch->capacity;
	int			n = 0;

	for (Chunk *chunk = kept; chunk != NULL; chunk = chunk->next)
		n++;

	while (chunks != NULL)
	{
		Chunk	   *next = chunks->next;

		if (chunks->size == CHUNK_SIZE && n < CHUNKS_KEPT)
		{
			chunks->next = kept;
			kept = chunks;
			n++;
		}
		else
			pfree(chunks);
		chunks = next;
	}
	if (capacity > EVENTS_KEPT)
	{
		pfree(events);
		events = NULL;
		capacity = 0;
	}
	memset(batch, 0, sizeof(*batch));
	batch->events = events;
	batch->capacity = capacity;
	batch->spare = kept;
}

static void
add_chunk(MoBatch *batch, Size needed)
{
	Chunk	   *chunk;

	if (needed <= CHUNK_SIZE && batch->spare != NULL)
	{
		chunk = batch->spare;
		batch->spare = chunk->next;
	}
	else
	{
		Size		size = Max(needed, (Size) CHUNK_SIZE);

		chunk = MemoryContextAllocHuge(TopMemoryContext,
									   offsetof(Chunk, data) + size);
		chunk->size = size;
	}
	chunk->next = batch->chunks;
	batch->chunks = chunk;
	batch->free = chunk->data;
	batch->end = chunk->data + chunk->size;
}

void *
mo_batch_alloc(MoBatch *batch, Size size)
{
	void	   *result;

	size = MAXALIGN(size);
	if (batch->end - batch->free < size)
		add_chunk(batch, size);
	result = batch->free;
	batch->free += size;
	return result;
}

char *
mo_batch_copy(MoBatch *batch, const char *text)
{
	Size		size;

	if (text == NULL)
		return NULL;
	size = strlen(text) + 1;
	return memcpy(mo_batch_alloc(batch, size), text, size);
}

/* A zeroed event at the end of the batch. */
MoEvent *
mo_batch_add(MoBatch *batch)
{
	MoEvent    *event;

	if (batch->nevents == batch->capacity)
	{
		int			capacity = Max(1024, batch->capacity * 2);
		Size		size = mul_size(capacity, sizeof(MoEvent));

		if (batch->events == NULL)
			batch->events = MemoryContextAllocHuge(TopMemoryContext, size);
		else
			batch->events = repalloc_huge(batch->events, size);
		batch->capacity = capacity;
	}
	event = &batch->events[batch->nevents++];
	memset(event, 0, sizeof(*event));
	event->record.offset = -1;
	return event;
}

bool
mo_position_reached(const MoPosition *a, const MoPosition *b)
{
	if (a->txn.commit_lsn != b->txn.commit_lsn)
		return a->txn.commit_lsn < b->txn.commit_lsn;
	if (b->complete)
		return true;
	return !a->complete && a->ordinal <= b->ordinal;
}
