/*-------------------------------------------------------------------------
 *
 * scribe_statement.h
 *	  The statements of a scribe: their texts, prepared once and kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_SCRIBE_STATEMENT_H
#define MO_SCRIBE_STATEMENT_H

typedef enum MoStatement
{
	MO_SELECT_PUBLISHER,
	MO_SELECT_LEDGER_END,
	MO_SELECT_LEDGER_OFFSETS,
	MO_SELECT_CONTRACT,
	MO_SELECT_DEAD_LETTERS,
	MO_INSERT_DEAD_LETTER,
	MO_UPDATE_PROGRESS,
	MO_INSERT_PROGRESS,
	MO_UPDATE_ATTENTION,
	MO_CLEAR_RESUME_FROM,
	MO_INSERT_EVENT,
	MO_INSERT_BATCH,
	MO_DELETE_BATCHES,
	MO_RUN_DUE,
	MO_PURGE,
	MO_STATEMENTS
} MoStatement;

/*
 * A transaction around statements; one that nothing is built upon need not be
 * durable when it ends.
 */
extern void mo_statement_begin(bool durable);
extern void mo_statement_end(void);

/* The memory context of whoever called begin: where results go. */
extern MemoryContext mo_statement_caller(void);

/* Forgets the arguments of the statement before, and adds some. */
extern void mo_statement_start(void);
extern void mo_statement_put(Datum value);
extern void mo_statement_put_text(const char *text);	/* NULL → NULL */

extern void mo_statement_execute(MoStatement s);

/*
 * Column of a result row, from 1; 0 or NULL where it is null.  A datum lives
 * until the end, a text in the caller's context.
 */
extern Datum mo_statement_get(uint64 row, int number);
extern char *mo_statement_get_text(uint64 row, int number);

#endif							/* MO_SCRIBE_STATEMENT_H */
