/*-------------------------------------------------------------------------
 *
 * purge.h
 *	  Retention: the only way in which an event leaves its outbox.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PURGE_H
#define MO_PURGE_H

#include "access/htup.h"

typedef enum MoPurgeVerdict
{
	MO_PURGE_REFUSE,			/* no purge of this outbox is running */
	MO_PURGE_KEEP,				/* it may not be published yet */
	MO_PURGE_DELETE
} MoPurgeVerdict;

/* May this row of the outbox be deleted now? */
extern MoPurgeVerdict mo_purge_judge(int32 outbox_id, HeapTuple row);

#endif							/* MO_PURGE_H */
