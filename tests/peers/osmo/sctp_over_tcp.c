/*
 * Carries SCTP associations over TCP, for telephone network software on kernels without SCTP. For tests only.
 *
 * Preloaded into both ends (LD_PRELOAD). Each message travels behind a head of twelve octets, in network
 * order: length (4), payload protocol id (4), stream (2), zero (2). The test's own phone speaks the same.
 * One address, one stream of octets, no notifications: all that these programs need on a loopback.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/sctp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { FDS_MAX = 4096, MESSAGE_OCTETS_MAX = 65536 };

struct head {
	uint32_t octets;
	uint32_t protocol; /* as the program has it: in network order already */
	uint16_t stream;
	uint16_t zero;
};

static bool carried[FDS_MAX];

static int mark(int fd, bool sctp)
{
	if (fd >= 0 && fd < FDS_MAX)
		carried[fd] = sctp;
	return fd;
}

static bool is_carried(int fd)
{
	return fd >= 0 && fd < FDS_MAX && carried[fd];
}

int socket(int domain, int type, int protocol)
{
	int (*original)(int, int, int) = dlsym(RTLD_NEXT, "socket");
	bool sctp = protocol == IPPROTO_SCTP;

	return mark(original(domain, type, sctp ? IPPROTO_TCP : protocol), sctp);
}

int accept(int fd, struct sockaddr *peer, socklen_t *octets)
{
	int (*original)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "accept");

	return mark(original(fd, peer, octets), is_carried(fd));
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t octets)
{
	int (*original)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");

	return level == IPPROTO_SCTP ? 0 : original(fd, level, name, value, octets);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *octets)
{
	int (*original)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");

	if (level != IPPROTO_SCTP)
		return original(fd, level, name, value, octets);
	memset(value, 0, *octets);
	return 0;
}

static socklen_t address_octets(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

int sctp_bindx(int fd, struct sockaddr *addresses, int count, int flags)
{
	return bind(fd, addresses, address_octets(addresses));
}

int sctp_connectx(int fd, struct sockaddr *addresses, int count, sctp_assoc_t *id)
{
	return connect(fd, addresses, address_octets(addresses));
}

static int send_framed(int fd, const void *message, size_t octets, uint32_t protocol, uint16_t stream)
{
	static uint8_t frame[sizeof(struct head) + MESSAGE_OCTETS_MAX];
	struct head head = { htonl(octets), protocol, htons(stream), 0 };

	if (octets > MESSAGE_OCTETS_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(frame, &head, sizeof(head));
	memcpy(frame + sizeof(head), message, octets);
	for (size_t sent = 0; sent < sizeof(head) + octets;) {
		ssize_t now = send(fd, frame + sent, sizeof(head) + octets - sent, MSG_NOSIGNAL);

		if (now >= 0)
			sent += now;
		else if (sent == 0 || (errno != EAGAIN && errno != EINTR))
			return -1;
	}
	return octets;
}

int sctp_send(int fd, const void *message, size_t octets, const struct sctp_sndrcvinfo *info, int flags)
{
	return send_framed(fd, message, octets, info ? info->sinfo_ppid : 0, info ? info->sinfo_stream : 0);
}

int sctp_sendmsg(int fd, const void *message, size_t octets, struct sockaddr *to, socklen_t to_octets,
		 uint32_t protocol, uint32_t flags, uint16_t stream, uint32_t lifetime, uint32_t context)
{
	return send_framed(fd, message, octets, protocol, stream);
}

int sctp_recvmsg(int fd, void *message, size_t room, struct sockaddr *from, socklen_t *from_octets,
		 struct sctp_sndrcvinfo *info, int *flags)
{
	static uint8_t frame[sizeof(struct head) + MESSAGE_OCTETS_MAX];
	struct head head;
	ssize_t here = recv(fd, frame, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

	if (here <= 0)
		return here;
	memcpy(&head, frame, sizeof(head));
	size_t octets = ntohl(head.octets);
	if (here == sizeof(head) && (octets > room || octets > MESSAGE_OCTETS_MAX)) {
		errno = EMSGSIZE;
		return -1;
	}
	/* Nothing is taken before it is whole. */
	if (here == sizeof(head))
		here = recv(fd, frame, sizeof(head) + octets, MSG_PEEK | MSG_DONTWAIT);
	if (here < (ssize_t)(sizeof(head) + octets)) {
		errno = EAGAIN;
		return -1;
	}
	recv(fd, frame, sizeof(head) + octets, 0);
	memcpy(message, frame + sizeof(head), octets);
	if (info) {
		memset(info, 0, sizeof(*info));
		info->sinfo_ppid = head.protocol;
		info->sinfo_stream = ntohs(head.stream);
	}
	if (flags)
		*flags = MSG_EOR;
	return octets;
}
