/*-------------------------------------------------------------------------
 *
 * hooks.h
 *	  What commands of ordinary sessions tell the launcher.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_HOOKS_H
#define MO_HOOKS_H

extern void mo_hooks_init(void);	/* from _PG_init */

/*
 * When the current transaction commits, the launcher looks at this database
 * again, and publishers that wait for a person start again.
 */
extern void mo_hooks_scan_at_commit(void);

#endif							/* MO_HOOKS_H */
