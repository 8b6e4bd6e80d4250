// The least that a veth pair with a round trip could cost: the rtnetlink(7) messages of ours in C, without a line of care.
// Each round, between two network namespaces that stay: a pair across them, an address and IFF_UP at each end, a wait
// until both ends run, and a UDP datagram there and back. The pair is then deleted, outside of the measured time.
// Prints for each round the nanoseconds, and 1 if the first datagram was lost (no answer within 500 ms).
// Build: cc -O2 -o veth-pair veth-pair.c
// Run:   veth-pair ROUNDS [at-once]      (as root, or in a user namespace: unshare -Ur veth-pair 100)
//        at-once: do not wait until the ends run, to see what is lost then.
// Ours:  cargo build --release -p ns-core --example veth-pair; target/release/examples/veth-pair ROUNDS
// By turns, some rounds of each and again: compare the medians of all lines.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		_exit(125);
	}
}

static long long now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000LL + at.tv_nsec;
}

// One end: its namespace, and the sockets that were opened in it.
struct end {
	int namespace, requests, events, udp;
};

struct message {
	struct nlmsghdr header;
	char body[512];
};

static void *put(struct message *message, const void *data, size_t length)
{
	char *at = (char *)message + NLMSG_ALIGN(message->header.nlmsg_len);
	memcpy(at, data, length);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + length;
	return at;
}

static struct rtattr *attribute(struct message *message, int type, const void *data, size_t length)
{
	struct rtattr head = { .rta_len = RTA_LENGTH(length), .rta_type = type };
	struct rtattr *at = put(message, &head, sizeof head);
	if (length)
		put(message, data, length);
	return at;
}

static void end_nest(struct message *message, struct rtattr *nest)
{
	nest->rta_len = (char *)message + NLMSG_ALIGN(message->header.nlmsg_len) - (char *)nest;
}

static struct message begin(int type, int flags, const void *head, size_t length)
{
	struct message message = { .header = { NLMSG_HDRLEN, type, NLM_F_REQUEST | NLM_F_ACK | flags, 1, 0 } };
	put(&message, head, length);
	return message;
}

// Sends a request and reads its answer to the end. The first record, if there is one, is left in `answer`.
static void ask(int socket, struct message *message, char *answer, size_t room, const char *what)
{
	static char buffer[1 << 15];
	must(send(socket, message, message->header.nlmsg_len, 0) < 0, what);
	for (;;) {
		ssize_t length = recv(socket, buffer, sizeof buffer, 0);
		must(length < 0, what);
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;
		for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
			if (header->nlmsg_type == NLMSG_ERROR) {
				int code = ((struct nlmsgerr *)NLMSG_DATA(header))->error;
				if (code) {
					fprintf(stderr, "%s: %s\n", what, strerror(-code));
					_exit(125);
				}
				return;
			}
			if (answer)
				memcpy(answer, header, header->nlmsg_len < room ? header->nlmsg_len : room);
		}
	}
}

static struct nlmsghdr *look(int socket, int index, const char *name)
{
	static char answer[8192];
	struct ifinfomsg head = { .ifi_index = index };
	struct message message = begin(RTM_GETLINK, 0, &head, sizeof head);
	if (name)
		attribute(&message, IFLA_IFNAME, name, strlen(name) + 1);
	ask(socket, &message, answer, sizeof answer, "RTM_GETLINK");
	return (struct nlmsghdr *)answer;
}

static int index_of(int socket, const char *name)
{
	return ((struct ifinfomsg *)NLMSG_DATA(look(socket, 0, name)))->ifi_index;
}

static void create(struct end *here, struct end *there)
{
	struct ifinfomsg head = { 0 };
	struct message message = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	attribute(&message, IFLA_IFNAME, "out", 4);
	struct rtattr *info = attribute(&message, IFLA_LINKINFO, NULL, 0);
	attribute(&message, IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = attribute(&message, IFLA_INFO_DATA, NULL, 0);
	struct rtattr *peer = attribute(&message, VETH_INFO_PEER, NULL, 0);
	put(&message, &head, sizeof head);
	attribute(&message, IFLA_IFNAME, "in", 3);
	attribute(&message, IFLA_NET_NS_FD, &there->namespace, sizeof there->namespace);
	end_nest(&message, peer);
	end_nest(&message, data);
	end_nest(&message, info);
	ask(here->requests, &message, NULL, 0, "RTM_NEWLINK");
}

static void add_address(struct end *end, int index, in_addr_t address)
{
	struct ifaddrmsg head = { .ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = index };
	struct message message = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	attribute(&message, IFA_ADDRESS, &address, sizeof address);
	attribute(&message, IFA_LOCAL, &address, sizeof address);
	ask(end->requests, &message, NULL, 0, "RTM_NEWADDR");
}

static void set_up(struct end *end, int index)
{
	struct ifinfomsg head = { .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct message message = begin(RTM_SETLINK, 0, &head, sizeof head);
	ask(end->requests, &message, NULL, 0, "RTM_SETLINK");
}

static void delete(struct end *end, int index)
{
	struct ifinfomsg head = { .ifi_index = index };
	struct message message = begin(RTM_DELLINK, 0, &head, sizeof head);
	ask(end->requests, &message, NULL, 0, "RTM_DELLINK");
}

static int runs(int socket, int index)
{
	struct nlmsghdr *answer = look(socket, index, NULL);
	struct ifinfomsg *link = NLMSG_DATA(answer);
	unsigned wanted = IFF_RUNNING | IFF_LOWER_UP;
	if ((link->ifi_flags & wanted) != wanted)
		return 0;
	int left = answer->nlmsg_len - NLMSG_LENGTH(sizeof *link);
	for (struct rtattr *at = (void *)(link + 1); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == IFLA_OPERSTATE)
			return *(unsigned char *)RTA_DATA(at) == IF_OPER_UP;
	}
	return 0;
}

// Looks, and again at each event: joined before the first look, so that nothing can happen in between.
static void wait_until_it_runs(struct end *end, int index)
{
	int group = RTNLGRP_LINK;
	char event[4096];
	must(setsockopt(end->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group), "join");
	while (!runs(end->requests, index))
		must(recv(end->events, event, sizeof event, 0) < 0, "recv(event)");
	must(setsockopt(end->events, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof group), "leave");
}

static int netlink(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	must(fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address), "socket(AF_NETLINK)");
	return fd;
}

// Leaves the caller in the new namespace.
static struct end open_end(void)
{
	struct end end;
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(4000) };
	must(unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
	end.namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	end.requests = netlink();
	end.events = netlink();
	end.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(end.namespace < 0 || bind(end.udp, (struct sockaddr *)&any, sizeof any), "socket(AF_INET)");
	return end;
}

static int arrives(int udp, struct sockaddr_in *from)
{
	struct pollfd ready = { .fd = udp, .events = POLLIN };
	socklen_t length = sizeof *from;
	char byte;
	if (poll(&ready, 1, 500) < 1)
		return 0;
	return recvfrom(udp, &byte, 1, 0, (struct sockaddr *)from, &length) == 1;
}

static int round_trip(struct end *here, struct end *there, in_addr_t address)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(4000), .sin_addr = { address } }, from;
	must(sendto(here->udp, ".", 1, 0, (struct sockaddr *)&to, sizeof to) != 1, "sendto");
	if (!arrives(there->udp, &from))
		return 0;
	must(sendto(there->udp, ".", 1, 0, (struct sockaddr *)&from, sizeof from) != 1, "sendto");
	return arrives(here->udp, &from);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	int rounds = atoi(argv[1]), waits = argc < 3;
	in_addr_t outer = inet_addr("10.0.0.1"), inner = inet_addr("10.0.0.2");
	struct end there = open_end(), here = open_end();
	for (int round = 0; round < rounds; round++) {
		long long start = now();
		create(&here, &there);
		int out = index_of(here.requests, "out"), in = index_of(there.requests, "in");
		add_address(&here, out, outer);
		add_address(&there, in, inner);
		set_up(&here, out);
		set_up(&there, in);
		if (waits) {
			wait_until_it_runs(&here, out);
			wait_until_it_runs(&there, in);
		}
		int arrived = round_trip(&here, &there, inner);
		printf("%lld %d\n", now() - start, !arrived);
		delete(&here, out);
	}
	return 0;
}
