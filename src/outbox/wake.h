/*-------------------------------------------------------------------------
 *
 * wake.h
 *	  Wakes publishers when the transaction that gave them events commits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_WAKE_H
#define MO_WAKE_H

/* The current transaction has inserted an event for this publisher. */
extern void mo_wake_at_commit(int32 publisher_id);

#endif							/* MO_WAKE_H */
