/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  For whom the running management function acts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_RIGHTS_H
#define MO_RIGHTS_H

/* Inside a function of language mesh_outbox_plpgsql, who called it. */
extern Oid	mo_rights_caller(void);

/* Is one of them running, with its owner's rights? */
extern bool mo_rights_acting(void);

#endif							/* MO_RIGHTS_H */
