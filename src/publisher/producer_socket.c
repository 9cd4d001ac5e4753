/*-------------------------------------------------------------------------
 *
 * producer_socket.c
 *	  Which connections a transactional handle has, so that they can be cut.
 *
 * rd_kafka_send_offsets_to_transaction() may not return for a long time, or
 * ever: it looks up the group's coordinator, gives up after two retries when
 * there is none at the moment (a broker restarts, say), and then waits for
 * any of its connections to change state before it looks again (librdkafka
 * 2.0 to 2.15, rd_kafka_coord_req).  If none does, the transaction stands
 * still.  Nothing in the library's interface wakes it, but a connection that
 * is cut does; the library connects anew and repeats what was under way.
 *
 * Two callbacks of librdkafka keep the list of sockets.  They are the only
 * code of ours that runs in its threads: they call nothing of PostgreSQL and
 * wait for nothing but each other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "publisher/producer_internal.h"

/* A socket that finds no room in the list works, and is never cut. */
static int
open_socket(int domain, int type, int protocol, void *opaque)
{
	MoLane	   *lane = opaque;
	int			fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&lane->sockets_lock);
	if (lane->nsockets < lengthof(lane->sockets))
		lane->sockets[lane->nsockets++] = fd;
	pthread_mutex_unlock(&lane->sockets_lock);
	return fd;
}

/* Closes under the lock: a number must not be cut when it means another. */
static int
close_socket(int fd, void *opaque)
{
	MoLane	   *lane = opaque;
	int			rc;

	pthread_mutex_lock(&lane->sockets_lock);
	for (int i = 0; i < lane->nsockets; i++)
	{
		if (lane->sockets[i] == fd)
		{
			lane->sockets[i] = lane->sockets[--lane->nsockets];
			break;
		}
	}
	rc = close(fd);
	pthread_mutex_unlock(&lane->sockets_lock);
	return rc;
}

/* The lane must outlive the handle that is made of this configuration. */
void
mo_socket_watch(rd_kafka_conf_t *conf, MoLane *lane)
{
	rd_kafka_conf_set_opaque(conf, lane);
	rd_kafka_conf_set_socket_cb(conf, open_socket);
	rd_kafka_conf_set_closesocket_cb(conf, close_socket);
}

/* Any thread. */
void
mo_socket_cut(MoLane *lane)
{
	pthread_mutex_lock(&lane->sockets_lock);
	for (int i = 0; i < lane->nsockets; i++)
		(void) shutdown(lane->sockets[i], SHUT_RDWR);
	pthread_mutex_unlock(&lane->sockets_lock);
}
