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

/* What mo_rights_confine() changed. */
typedef struct MoConfinement
{
	Oid			user;
	int			sec_context;
	int			settings;		/* GUC nesting level */
	bool		read_only;
} MoConfinement;

/*
 * For code that somebody else wrote: from now on there are the rights of this
 * role only, nothing can be written (the transaction is read-only), and
 * settings and roles cannot be changed (SECURITY_RESTRICTED_OPERATION).  Ends
 * with mo_rights_release(), or with the (sub)transaction's abort.
 */
extern void mo_rights_confine(Oid role, MoConfinement *before);
extern void mo_rights_release(const MoConfinement *before);

#endif							/* MO_RIGHTS_H */
