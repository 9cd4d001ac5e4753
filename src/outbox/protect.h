/*-------------------------------------------------------------------------
 *
 * protect.h
 *	  Keeps outboxes from vanishing unseen.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PROTECT_H
#define MO_PROTECT_H

extern void mo_protect_init(void);	/* from _PG_init */

#endif							/* MO_PROTECT_H */
