/*-------------------------------------------------------------------------
 *
 * channel.c
 *	  What a publisher and its scribe say to each other, and how.
 *
 * The publisher creates the segment and announces its handle in the shared
 * slot; the scribe waits for the handle and attaches; opening returns on both
 * sides only when both queues have both ends.  From then on a peer that has
 * gone is seen by every call, since its exit detaches the segment.
 *
 * Neither side can block the other for ever: while a message does not fit,
 * the sender takes what arrives into its own memory (the inbox), so two
 * senders that face full queues make room for each other.  The inbox is as
 * large as the answers a publisher has asked for and not fetched.
 *
 * Messages never leave the machine or the major version, so numbers are in
 * network order only because pqformat writes them so, and text is copied as
 * it is, without conversion.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "publisher/channel.h"
#include "shmem.h"

/*
 * Requests carry payloads, answers are short.  A message may be larger than
 * its queue, it then takes turns with the reader.
 */
#define REQUESTS_SIZE	((Size) 256 * 1024)
#define ANSWERS_SIZE	((Size) 64 * 1024)

/* How long one side waits for the other to come, ms. */
#define OPEN_TIMEOUT	30000

struct MoChannel
{
	dsm_segment *segment;
	shm_mq_handle *out;
	shm_mq_handle *in;
	List	   *inbox;			/* of StringInfo, oldest first */
	StringInfo	taken;			/* from the inbox, lent to the caller */
};

static void
raise_peer_gone(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the other worker of the publisher has gone")));
}

/* One turn of waiting for the peer to come. */
static void
wait_for_peer(TimestampTz deadline)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
													   deadline);

	if (left <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the other worker of the publisher did not start in time")));
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 left, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static MoChannel *
make_channel(dsm_segment *segment, shm_mq *out, shm_mq *in)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	MoChannel  *channel = palloc0(sizeof(MoChannel));

	channel->segment = segment;
	channel->out = shm_mq_attach(out, segment, NULL);
	channel->in = shm_mq_attach(in, segment, NULL);
	MemoryContextSwitchTo(old);
	return channel;
}

/* The publisher's side. */
MoChannel *
mo_channel_create(int slot_index)
{
	MoPublisherSlot *slot = &mo_shared->slots[slot_index];
	TimestampTz deadline =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), OPEN_TIMEOUT);
	dsm_segment *segment = dsm_create(REQUESTS_SIZE + ANSWERS_SIZE, 0);
	char	   *base = dsm_segment_address(segment);
	shm_mq	   *requests = shm_mq_create(base, REQUESTS_SIZE);
	shm_mq	   *answers = shm_mq_create(base + REQUESTS_SIZE, ANSWERS_SIZE);
	MoChannel  *channel;
	Latch	   *scribe;

	dsm_pin_mapping(segment);
	shm_mq_set_sender(requests, MyProc);
	shm_mq_set_receiver(answers, MyProc);
	channel = make_channel(segment, requests, answers);

	SpinLockAcquire(&slot->mutex);
	slot->channel = dsm_segment_handle(segment);
	scribe = slot->scribe_latch;
	SpinLockRelease(&slot->mutex);
	if (scribe != NULL)
		SetLatch(scribe);

	while (shm_mq_get_receiver(requests) == NULL ||
		   shm_mq_get_sender(answers) == NULL)
		wait_for_peer(deadline);
	return channel;
}

/* The scribe's side. */
MoChannel *
mo_channel_attach(int slot_index)
{
	MoPublisherSlot *slot = &mo_shared->slots[slot_index];
	TimestampTz deadline =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), OPEN_TIMEOUT);
	dsm_handle	handle;
	dsm_segment *segment;
	shm_mq	   *requests;
	shm_mq	   *answers;

	for (;;)
	{
		SpinLockAcquire(&slot->mutex);
		handle = slot->channel;
		SpinLockRelease(&slot->mutex);
		if (handle != DSM_HANDLE_INVALID)
			break;
		wait_for_peer(deadline);
	}

	segment = dsm_attach(handle);
	if (segment == NULL)
		raise_peer_gone();
	dsm_pin_mapping(segment);

	requests = (shm_mq *) dsm_segment_address(segment);
	answers = (shm_mq *) ((char *) dsm_segment_address(segment) + REQUESTS_SIZE);
	shm_mq_set_receiver(requests, MyProc);
	shm_mq_set_sender(answers, MyProc);
	return make_channel(segment, answers, requests);
}

/* Takes a message from the queue, without waiting; not from the inbox. */
static bool
take_from_queue(MoChannel *channel, char **data, Size *length)
{
	void	   *where;

	switch (shm_mq_receive(channel->in, length, &where, true))
	{
		case SHM_MQ_SUCCESS:
			*data = where;
			return true;
		case SHM_MQ_WOULD_BLOCK:
			return false;
		case SHM_MQ_DETACHED:
			break;
	}
	raise_peer_gone();
	return false;
}

static void
fill_inbox(MoChannel *channel)
{
	char	   *data;
	Size		length;

	while (take_from_queue(channel, &data, &length))
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		StringInfo	message = makeStringInfo();

		appendBinaryStringInfo(message, data, (int) length);
		channel->inbox = lappend(channel->inbox, message);
		MemoryContextSwitchTo(old);
	}
}

static void
wait_for_change(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/*
 * The latch is reset only behind a wait, and set again at the end when it
 * was: it may have been set for something that the caller is to see.
 */
void
mo_channel_send(MoChannel *channel, char type, StringInfo body)
{
	shm_mq_iovec parts[2] = {
		{.data = &type, .len = 1},
		{.data = body ? body->data : NULL, .len = body ? body->len : 0}
	};
	bool		waited = false;

	for (;;)
	{
		shm_mq_result result;

		CHECK_FOR_INTERRUPTS();
		result = shm_mq_sendv(channel->out, parts, body ? 2 : 1, true, true);
		if (result == SHM_MQ_SUCCESS)
			break;
		if (result == SHM_MQ_DETACHED)
			raise_peer_gone();
		fill_inbox(channel);
		wait_for_change();
		waited = true;
	}
	if (waited || channel->inbox != NIL)
		SetLatch(MyLatch);
}

/* Gives back what the last call lent out. */
static void
release_taken(MoChannel *channel)
{
	if (channel->taken != NULL)
	{
		pfree(channel->taken->data);
		pfree(channel->taken);
		channel->taken = NULL;
	}
}

bool
mo_channel_try_receive(MoChannel *channel, char *type, StringInfo body)
{
	char	   *data;
	Size		length;

	release_taken(channel);
	if (channel->inbox != NIL)
	{
		channel->taken = linitial(channel->inbox);
		channel->inbox = list_delete_first(channel->inbox);
		data = channel->taken->data;
		length = channel->taken->len;
	}
	else if (!take_from_queue(channel, &data, &length))
		return false;

	if (length < 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("empty message between the workers of a publisher")));
	*type = data[0];

	/* A read-only view; it has no terminating zero and must not be enlarged. */
	body->data = data + 1;
	body->len = body->maxlen = (int) length - 1;
	body->cursor = 0;
	return true;
}

void
mo_channel_receive(MoChannel *channel, char *type, StringInfo body)
{
	bool		waited = false;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (mo_channel_try_receive(channel, type, body))
			break;
		wait_for_change();
		waited = true;
	}
	if (waited)
		SetLatch(MyLatch);
}
