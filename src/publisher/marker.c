/*-------------------------------------------------------------------------
 *
 * marker.c
 *	  The marker's text, and the timeline history it is judged by.
 *
 * The marker is the publish position in Kafka: an offset of the publisher's
 * group, committed in the same Kafka transaction as the events.  The offset
 * itself is the commit LSN; what else the protocol needs is text in the
 * offset's metadata, of which brokers take 4096 bytes by default.  It is
 * written as key=value words, so that an operator can read it with Kafka's
 * own tools.
 *
 * Used by start.c and pipeline.c.  Pure functions but for reading the
 * timeline history file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/timeline.h"
#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "port.h"
#include "utils/builtins.h"

#include "publisher/marker.h"

/*
 * Ancestors told in a marker.  An older one says nothing new: two histories
 * that agree on the newest ones came the same way.
 */
#define HISTORY_TOLD	60

static char *
history_text(const MoHistory *history, int n, TimeLineID last)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = Max(0, n - HISTORY_TOLD); i < n; i++)
		appendStringInfo(&buf, "%u@%X/%X,", history->timeline[i],
						 LSN_FORMAT_ARGS(history->end[i]));
	appendStringInfo(&buf, "%u", last);
	return buf.data;
}

/*
 * The branch that something at "lsn" of this history was written on: the same
 * before and after a promotion.
 */
char *
mo_marker_branch_at(const MoHistory *history, XLogRecPtr lsn)
{
	for (int i = 0; i < history->n; i++)
		if (lsn < history->end[i])
			return history_text(history, i, history->timeline[i]);
	return pstrdup(history->text);
}

void
mo_marker_own_history(MoHistory *history)
{
	TimeLineID	current;
	List	   *entries;
	int			n;

	(void) GetFlushRecPtr(&current);
	entries = readTimeLineHistory(current);

	/* Newest first, the current one ahead of its ancestors. */
	n = list_length(entries) - 1;
	history->n = n;
	history->timeline = palloc(sizeof(TimeLineID) * Max(n, 1));
	history->end = palloc(sizeof(XLogRecPtr) * Max(n, 1));
	history->current = current;
	for (int i = 0; i < n; i++)
	{
		TimeLineHistoryEntry *entry = list_nth(entries, n - i);

		history->timeline[i] = entry->tli;
		history->end[i] = entry->end;
	}
	history->text = history_text(history, n, current);
}

char *
mo_marker_format(const MoMarker *marker)
{
	const MoPosition *p = &marker->position;

	return psprintf("v=1 end=%X/%X xid=%u time=" INT64_FORMAT
					" ordinal=" INT64_FORMAT " part=%d complete=%d"
					" incarnation=%s dead=%X/%X branch=%s",
					LSN_FORMAT_ARGS(p->txn.end_lsn), p->txn.xid,
					p->txn.commit_time, p->ordinal, p->part,
					p->complete ? 1 : 0, marker->incarnation,
					LSN_FORMAT_ARGS(marker->dead_lsn),
					marker->history.text);
}

static bool
parse_history(const char *text, MoHistory *history)
{
	int			capacity = 1;

	for (const char *c = text; *c; c++)
		capacity += *c == ',';
	history->n = 0;
	history->timeline = palloc(sizeof(TimeLineID) * capacity);
	history->end = palloc(sizeof(XLogRecPtr) * capacity);
	history->text = pstrdup(text);

	for (;;)
	{
		uint32		tli,
					hi,
					lo;
		int			used = 0;

		if (sscanf(text, "%u@%X/%X,%n", &tli, &hi, &lo, &used) == 3 && used > 0)
		{
			history->timeline[history->n] = tli;
			history->end[history->n++] = ((uint64) hi << 32) | lo;
			text += used;
			continue;
		}
		if (sscanf(text, "%u%n", &tli, &used) != 1 || text[used] != '\0')
			return false;
		history->current = tli;
		return true;
	}
}

bool
mo_marker_parse(XLogRecPtr lsn, const char *text, MoMarker *marker)
{
	MoPosition *p = &marker->position;
	uint32		end_hi,
				end_lo,
				dead_hi,
				dead_lo;
	long long	commit_time,
				ordinal;
	int			complete;
	int			used = 0;

	memset(marker, 0, sizeof(*marker));
	if (text == NULL ||
		sscanf(text, "v=1 end=%X/%X xid=%u time=%lld ordinal=%lld part=%d"
			   " complete=%d incarnation=%32s dead=%X/%X branch=%n",
			   &end_hi, &end_lo, &p->txn.xid, &commit_time, &ordinal,
			   &p->part, &complete, marker->incarnation,
			   &dead_hi, &dead_lo, &used) != 10 || used == 0)
		return false;
	p->txn.commit_lsn = lsn;
	p->txn.end_lsn = ((uint64) end_hi << 32) | end_lo;
	p->txn.commit_time = commit_time;
	p->ordinal = ordinal;
	p->complete = complete != 0;
	marker->dead_lsn = ((uint64) dead_hi << 32) | dead_lo;
	return parse_history(text + used, &marker->history);
}

/* Where "history" left the timeline; max when it is on it; 0 when never. */
static XLogRecPtr
left_at(const MoHistory *history, TimeLineID timeline)
{
	if (timeline == history->current)
		return PG_UINT64_MAX;
	for (int i = 0; i < history->n; i++)
		if (history->timeline[i] == timeline)
			return history->end[i];
	return InvalidXLogRecPtr;
}

bool
mo_marker_in_history(const MoMarker *marker, const MoHistory *mine,
					 const char **why)
{
	const MoHistory *his = &marker->history;
	XLogRecPtr	left = left_at(mine, his->current);

	if (left == InvalidXLogRecPtr)
	{
		*why = "The marker was written on a timeline that is not in this server's history.";
		return false;
	}
	for (int i = 0; i < his->n; i++)
	{
		XLogRecPtr	end = left_at(mine, his->timeline[i]);

		if (end != InvalidXLogRecPtr && end != his->end[i])
		{
			*why = "The marker's timeline has the number of one of this server's, but branched off elsewhere.";
			return false;
		}
	}
	if (marker->position.txn.end_lsn > left)
	{
		*why = "The marker lies beyond the place where this server left its timeline: consumers have seen events that this server does not have.";
		return false;
	}
	if (marker->dead_lsn > left)
	{
		*why = "The marker relies on a dead letter that was recorded beyond the place where this server left its timeline.";
		return false;
	}
	return true;
}

bool
mo_marker_is_ancestor(const MoMarker *marker, const MoHistory *mine)
{
	const char *why;

	return marker->history.current != mine->current &&
		mo_marker_in_history(marker, mine, &why);
}

void
mo_marker_new_incarnation(char *incarnation)
{
	uint8		bytes[(MO_INCARNATION_SIZE - 1) / 2];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random incarnation")));
	for (int i = 0; i < sizeof(bytes); i++)
		snprintf(incarnation + 2 * i, 3, "%02x", bytes[i]);
}
