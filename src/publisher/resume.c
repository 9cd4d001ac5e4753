/*-------------------------------------------------------------------------
 *
 * resume.c
 *	  Going on where a person said: resume_publisher(..., start_from => ...).
 *
 * Called by recovery (start.c) in place of its own judgement.  What was found
 * and what was chosen are recorded before the choice takes effect; the choice
 * is durable, as P, before the stream is claimed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "publisher/publisher.h"

/* Has somebody decided?  The launcher hands a decision to one start only. */
bool
mo_resume_chosen(const MoPublisher *pub)
{
	return pub->hello.resume_from[0] != '\0';
}

static bool
resuming_from(const MoPublisher *pub, const char *what)
{
	return strcmp(pub->hello.resume_from, what) == 0;
}

/* A position that no transaction has: between two of them. */
static void
set_made_position(MoPublisher *pub, XLogRecPtr lsn)
{
	memset(&pub->committed, 0, sizeof(pub->committed));
	pub->committed.txn.commit_lsn = lsn - 1;
	pub->committed.txn.end_lsn = lsn;
	pub->committed.complete = true;
}

/* Writes P and waits until it is durable. */
static void
write_progress(MoPublisher *pub, XLogRecPtr lsn)
{
	mo_progress_ask(pub, lsn);
	while (pub->progress_asked != InvalidXLogRecPtr)
		mo_publisher_wait(pub, 1000);
}

/*
 * Takes the position a person chose.  Kafka's marker and this server's own
 * record disagree; both are recorded before the choice takes effect.
 */
void
mo_resume_take_position(MoPublisher *pub, bool found, const MoMarker *m,
						XLogRecPtr slot)
{
	const char *why;
	XLogRecPtr	from = found ? m->position.txn.end_lsn : InvalidXLogRecPtr;
	XLogRecPtr	to;

	/*
	 * "now" is when it was said.  By the end of WAL as it is here, events
	 * would be given up that were committed since, in good faith: outboxes
	 * take rows as soon as the slot is there.
	 */
	if (resuming_from(pub, "now"))
		to = pub->hello.resume_lsn;
	else if (resuming_from(pub, "ledger"))
		to = Max(pub->hello.progress_lsn,
				 pub->hello.ledger_lsn ? pub->hello.ledger_lsn + 1 : InvalidXLogRecPtr);
	else
	{
		if (!found)
			mo_publisher_need_attention(pub, "there is no marker in Kafka to go on from",
										"The group of this publisher has no offset.",
										"mesh_outbox.resume_publisher(name, start_from => 'ledger' | 'now', reason => ...).",
										pub->hello.progress_lsn, mo_decode_flushed());
		if (!mo_marker_in_history(m, &pub->history, &why) ||
			m->position.txn.end_lsn > mo_decode_flushed())
			mo_judge_history(pub, m);
		to = m->position.txn.end_lsn;
	}
	to = Max(to, slot);
	mo_publisher_record(pub, psprintf("resumed from %s", pub->hello.resume_from),
						from, to, "From the marker found in Kafka to the position chosen.");
	set_made_position(pub, to);
	write_progress(pub, to);
	pub->start_lsn = to;
}

/*
 * Must a position be made up?  A marker inside a split transaction that can
 * still be decoded is better than any: the rest of it follows.
 */
bool
mo_resume_makes_position(const MoPublisher *pub, bool found, const MoMarker *m)
{
	if (!mo_resume_chosen(pub) || pub->embedded)
		return false;
	return !(resuming_from(pub, "marker") && found && !m->position.complete &&
			 pub->slot_start <= m->position.txn.commit_lsn);
}
