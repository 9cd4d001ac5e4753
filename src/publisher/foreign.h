/*-------------------------------------------------------------------------
 *
 * foreign.h
 *	  Which WAL records cannot concern any outbox of this publisher.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_FOREIGN_H
#define MO_FOREIGN_H

#include "compat.h"
#include "publisher/record.h"

typedef struct MoForeign MoForeign;

/* Knows nothing yet; lives as long as the context, in fixed memory. */
extern MoForeign *mo_foreign_create(MemoryContext context);

/*
 * A row of the file, written at "lsn", belongs to this relation, which is
 * none of the publisher's.  To be told in the replay of that row.
 */
extern void mo_foreign_learn(MoForeign *foreign, const RelFileLocator *file,
							 Relation relation, XLogRecPtr lsn);

/*
 * Must be shown every record, in order; one more than once does no harm.  True:
 * logical decoding would find nothing in it but its transaction id.
 */
extern bool mo_foreign_judge(MoForeign *foreign, const MoRecord *record);

#endif							/* MO_FOREIGN_H */
