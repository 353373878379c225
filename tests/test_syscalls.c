/* SPDX-License-Identifier: MIT
 *
 * System calls with libvpager-syscalls in front: buffers in hidden pages work as any memory does, nothing is lost, and what
 * is not ours is as it was. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "managed.h"

ssize_t __read_chk(int fd, void *buf, size_t len, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t len, size_t room, int flags);

/* ---- files ---- */

START_TEST(reads_from_a_file_land_in_hidden_pages)
{
	struct managed *m = managed_with(0);
	size_t len = 5 * m->page + 100;
	int fd = file_with(m->length);
	char own[50];
	struct iovec iov[3];

	ck_assert_int_eq(read(fd, hidden(m) + 10, len), len);
	sure_pattern(m->at + 10, 0, len);
	ck_assert_int_eq(pread(fd, hidden(m) + 11, len, 7), len);
	sure_pattern(m->at + 11, 7, len);
	ck_assert_int_eq(pread64(fd, hidden(m) + 12, len, 70), len);
	sure_pattern(m->at + 12, 70, len);

	hidden(m);
	iov[0] = (struct iovec){m->at + 100, m->page};
	iov[1] = (struct iovec){own, sizeof own};
	iov[2] = (struct iovec){m->at + 9 * m->page - 5, 10};
	ck_assert_int_eq(lseek(fd, 33, SEEK_SET), 33);
	ck_assert_int_eq(readv(fd, iov, 3), m->page + 60);
	sure_pattern(m->at + 100, 33, m->page);
	sure_pattern((unsigned char *)own, 33 + m->page, 50);
	sure_pattern(m->at + 9 * m->page - 5, 33 + m->page + 50, 10);
	hidden(m);
	ck_assert_int_eq(preadv(fd, iov, 3, 1), m->page + 60);
	sure_pattern(m->at + 100, 1, m->page);
	hidden(m);
	ck_assert_int_eq(preadv2(fd, iov, 3, 2, 0), m->page + 60);
	sure_pattern(m->at + 9 * m->page - 5, 2 + m->page + 50, 10);

	/* the vector itself in hidden memory */
	memcpy(m->at + 20 * m->page, iov, sizeof iov);
	hidden(m);
	ck_assert_int_eq(preadv64(fd, (struct iovec *)(m->at + 20 * m->page), 3, 3), m->page + 60);
	sure_pattern(m->at + 100, 3, m->page);
	close(fd);
	hidden(m);
	managed_end(m);
}
END_TEST

START_TEST(writes_to_a_file_come_from_hidden_pages)
{
	struct managed *m = managed_with(0);
	size_t len = 5 * m->page + 100;
	unsigned char *copy = malloc(len);
	struct iovec iov[2] = {{m->at + 3, m->page}, {m->at + 30 * m->page, 2 * m->page}};
	int fd = file_with(1);

	ck_assert_int_eq(pwrite(fd, hidden(m) + 10, len, 0), len);
	ck_assert_int_eq(pread(fd, copy, len, 0), len);
	sure_pattern(copy, 10, len);
	ck_assert_int_eq(write(fd, hidden(m) + 20, len), len);
	ck_assert_int_eq(pread(fd, copy, len, 0), len);
	sure_pattern(copy, 20, len);
	hidden(m);
	ck_assert_int_eq(pwritev(fd, iov, 2, 5), 3 * m->page);
	ck_assert_int_eq(pread(fd, copy, 3 * m->page, 5), 3 * m->page);
	sure_pattern(copy, 3, m->page);
	sure_pattern(copy + m->page, 30 * m->page, 2 * m->page);
	hidden(m);
	ck_assert_uint_eq(m->w.writes, 0); /* pinned for reading: nothing became dirty */
	free(copy);
	close(fd);
	managed_end(m);
}
END_TEST

static long address_space_pages(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	SURE(file && fscanf(file, "%ld", &pages) == 1, "statm");
	fclose(file);
	return pages;
}

/* 300 buffers, more than a call's own list of pins has room for. */
START_TEST(a_vector_of_many_buffers_is_held_whole)
{
	struct managed *m = managed_with(0);
	int fd = file_with(m->length);
	struct iovec iov[300];
	long pages;

	hidden(m);
	for (size_t i = 0; i < 300; i++)
		iov[i] = (struct iovec){m->at + i * 2 * (m->length / 601), m->length / 601};
	ck_assert_int_eq(preadv(fd, iov, 300, 0), 300 * (m->length / 601));
	for (size_t i = 0; i < 300; i++)
		sure_pattern(iov[i].iov_base, i * (m->length / 601), m->length / 601);
	pages = address_space_pages();
	for (int i = 0; i < 200; i++)
		SURE(preadv(fd, iov, 300, 0) > 0, "again");
	ck_assert_int_lt(address_space_pages(), pages + 50); /* the longer list is given back */
	hidden(m);
	close(fd);
	managed_end(m);
}
END_TEST

/* ---- pipes and sockets ---- */

START_TEST(pipes_and_stream_sockets_carry_hidden_pages)
{
	struct managed *m = managed_with(0);
	size_t half = m->length / 2, len = 3 * m->page;
	int fd[2];

	for (int kind = 0; kind < 2; kind++) {
		ck_assert_int_eq(kind ? socketpair(AF_UNIX, SOCK_STREAM, 0, fd) : pipe(fd), 0);
		ck_assert_int_eq(write(fd[1], hidden(m) + 50, len), len);
		ck_assert_int_eq(read(fd[0], hidden(m) + half, len), len);
		sure_pattern(m->at + half, 50, len);
		if (kind) {
			ck_assert_int_eq(send(fd[1], hidden(m) + 60, len, 0), len);
			ck_assert_int_eq(recv(fd[0], hidden(m) + half, len, MSG_PEEK), len);
			ck_assert_int_eq(recv(fd[0], hidden(m) + half + 1, len, MSG_WAITALL), len);
			sure_pattern(m->at + half + 1, 60, len);
		}
		close(fd[0]);
		close(fd[1]);
	}
	hidden(m);
	managed_end(m);
}
END_TEST

static void datagrams(int fd[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd), 0);
}

START_TEST(no_datagram_is_lost)
{
	struct managed *m = managed_with(0);
	unsigned char sent[1000], *at;
	int fd[2];

	datagrams(fd);
	pattern_fill(sent, 5, sizeof sent);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(send(fd[0], sent, sizeof sent, 0), sizeof sent);
	at = hidden(m) + 7 * m->page - 500;
	ck_assert_int_eq(recv(fd[1], at, 1000, 0), 1000);
	sure_pattern(at, 5, 1000);
	hidden(m);
	ck_assert_int_eq(read(fd[1], at, 1000), 1000);
	sure_pattern(at, 5, 1000);
	hidden(m);
	ck_assert_int_eq(recvfrom(fd[1], at, 1000, 0, NULL, NULL), 1000);
	sure_pattern(at, 5, 1000);
	hidden(m);
	ck_assert_int_eq(__recv_chk(fd[1], at, 1000, 1000, 0), 1000);
	sure_pattern(at, 5, 1000);

	/* two at once, everything of them in hidden pages */
	struct mmsghdr *msg = (struct mmsghdr *)(m->at + 40 * m->page);
	struct iovec *iov = (struct iovec *)(m->at + 41 * m->page);

	memset(msg, 0, 2 * sizeof *msg);
	for (int i = 0; i < 2; i++) {
		iov[i] = (struct iovec){m->at + (50 + (size_t)i) * m->page - 10, 1000};
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	hidden(m);
	ck_assert_int_eq(recvmmsg(fd[1], msg, 2, 0, NULL), 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(msg[i].msg_len, 1000);
		sure_pattern(m->at + (50 + (size_t)i) * m->page - 10, 5, 1000);
	}
	hidden(m);
	close(fd[0]);
	close(fd[1]);
	managed_end(m);
}
END_TEST

START_TEST(a_message_with_its_address_and_control_data_in_hidden_pages)
{
	struct managed *m = managed_with(0);
	int fd[2], passed, one = 1;
	struct msghdr *msg = (struct msghdr *)m->at;
	struct iovec *iov = (struct iovec *)(m->at + m->page);
	struct cmsghdr *cmsg = (struct cmsghdr *)(m->at + 2 * m->page);

	datagrams(fd);
	for (int receive = 0; receive < 2; receive++) {
		memset(msg, 0, sizeof *msg);
		*iov = (struct iovec){m->at + 4 * m->page - 50, 100};
		msg->msg_iov = iov;
		msg->msg_iovlen = 1;
		msg->msg_control = cmsg;
		msg->msg_controllen = CMSG_SPACE(sizeof(int));
		msg->msg_name = receive ? m->at + 3 * m->page : NULL;
		msg->msg_namelen = receive ? sizeof(struct sockaddr_un) : 0;
		if (!receive) {
			cmsg->cmsg_len = CMSG_LEN(sizeof(int));
			cmsg->cmsg_level = SOL_SOCKET;
			cmsg->cmsg_type = SCM_RIGHTS;
			memcpy(CMSG_DATA(cmsg), &fd[0], sizeof(int));
			hidden(m);
			ck_assert_int_eq(sendmsg(fd[0], msg, 0), 100);
		} else {
			memset(m->at + 4 * m->page - 50, 0, 100);
			hidden(m);
			ck_assert_int_eq(recvmsg(fd[1], msg, 0), 100);
		}
	}
	sure_pattern(m->at + 4 * m->page - 50, 4 * m->page - 50, 100);
	memcpy(&passed, CMSG_DATA(cmsg), sizeof passed);
	ck_assert_int_eq(setsockopt(passed, SOL_SOCKET, SO_PASSCRED, &one, sizeof one), 0);
	hidden(m);
	close(passed);
	close(fd[0]);
	close(fd[1]);
	managed_end(m);
}
END_TEST

START_TEST(addresses_and_options_of_sockets)
{
	struct managed *m = managed_with(0);
	struct sockaddr_un *name = (struct sockaddr_un *)(m->at + m->page),
			   *peer = (struct sockaddr_un *)(m->at + 2 * m->page);
	socklen_t *len = (socklen_t *)(m->at + 3 * m->page);
	int *value = (int *)(m->at + 4 * m->page);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), served;
	socklen_t name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 20);

	name->sun_family = AF_UNIX;
	memset(name->sun_path, 0, 20);
	snprintf(name->sun_path + 1, 19, "vpager-%d", (int)getpid());
	hidden(m);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)name, name_len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	hidden(m);
	ck_assert_int_eq(connect(client, (struct sockaddr *)name, name_len), 0);
	*len = sizeof *peer;
	hidden(m);
	served = accept(listener, (struct sockaddr *)peer, len);
	ck_assert_int_ge(served, 0);
	*len = sizeof *peer;
	hidden(m);
	ck_assert_int_eq(getpeername(client, (struct sockaddr *)peer, len), 0);
	ck_assert_uint_eq(*len, name_len);
	ck_assert_int_eq(memcmp(peer, name, name_len), 0);
	*len = sizeof *value;
	hidden(m);
	ck_assert_int_eq(getsockopt(client, SOL_SOCKET, SO_TYPE, value, len), 0);
	ck_assert_int_eq(*value, SOCK_STREAM);
	hidden(m);
	close(served);
	close(client);
	close(listener);
	managed_end(m);
}
END_TEST

/* ---- children, descriptors, the rest ---- */

static pid_t child_that_exits(int status)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(status);
	return pid;
}

START_TEST(no_status_of_a_child_is_lost)
{
	struct managed *m = managed_with(0);
	int *status = (int *)(m->at + m->page);
	struct rusage *usage = (struct rusage *)(m->at + 5 * m->page);
	siginfo_t *info = (siginfo_t *)(m->at + 7 * m->page);
	pid_t pid = child_that_exits(3);

	hidden(m);
	ck_assert_int_eq(waitpid(pid, status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(*status), 3);
	pid = child_that_exits(4);
	hidden(m);
	ck_assert_int_eq(wait4(pid, status, 0, usage), pid);
	ck_assert_int_eq(WEXITSTATUS(*status), 4);
	pid = child_that_exits(5);
	hidden(m);
	ck_assert_int_eq(wait(status), pid);
	ck_assert_int_eq(WEXITSTATUS(*status), 5);
	pid = child_that_exits(6);
	hidden(m);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, info, WEXITED), 0);
	ck_assert_int_eq(info->si_status, 6);
	hidden(m);
	managed_end(m);
}
END_TEST

START_TEST(what_else_fills_a_buffer)
{
	struct managed *m = managed_with(0);
	struct stat *st = (struct stat *)(m->at + m->page), own;
	struct pollfd *pfd = (struct pollfd *)(m->at + 2 * m->page);
	struct epoll_event *event = (struct epoll_event *)(m->at + 3 * m->page);
	int *fds = (int *)(m->at + 4 * m->page), poller = epoll_create1(EPOLL_CLOEXEC), directory;
	char *text = (char *)m->at + 6 * m->page - 2, path[4096];
	char *root = strcpy((char *)m->at + 9 * m->page - 1, "/");

	hidden(m);
	ck_assert_int_eq(stat(root, st), 0);
	ck_assert_int_eq(stat("/", &own), 0);
	ck_assert_uint_eq(st->st_ino, own.st_ino);
	hidden(m);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	hidden(m);
	ck_assert_int_eq(fstat(fds[0], st), 0);
	ck_assert(S_ISFIFO(st->st_mode));
	*pfd = (struct pollfd){fds[0], POLLIN, 0};
	hidden(m);
	ck_assert_int_eq(poll(pfd, 1, 0), 1);
	ck_assert_int_eq(pfd->revents, POLLIN);
	*event = (struct epoll_event){.events = EPOLLIN, .data.u32 = 77};
	hidden(m);
	ck_assert_int_eq(epoll_ctl(poller, EPOLL_CTL_ADD, fds[0], event), 0);
	memset(event, 0, sizeof *event);
	hidden(m);
	ck_assert_int_eq(epoll_wait(poller, event, 4, 0), 1);
	ck_assert_uint_eq(event->data.u32, 77);
	hidden(m);
	ck_assert_ptr_eq(getcwd(text, 4000), text);
	ck_assert_str_eq(text, getcwd(path, sizeof path));
	hidden(m);
	ck_assert_int_gt(readlink("/proc/self/exe", text, 4000), 0);
	ck_assert_int_eq(text[0], '/');
	hidden(m);
	ck_assert_int_eq(getrandom(text, 200, 0), 200);
	directory = open("/", O_RDONLY | O_DIRECTORY);
	hidden(m);
	ck_assert_int_gt(getdents64(directory, m->at + 10 * m->page - 8, m->page), 0);
	hidden(m);
	close(directory);
	close(fds[0]);
	close(fds[1]);
	close(poller);
	managed_end(m);
}
END_TEST

/* ---- more than can be pinned at once ---- */

START_TEST(a_stream_goes_in_pieces_through_a_small_limit)
{
	struct managed *m = managed_with(16); /* of which 8 can be pinned */
	size_t len = m->length - 100, got = 0;
	unsigned char *own = malloc(len);
	int fd = file_with(m->length), out = file_with(1), pair[2];
	struct iovec iov[2] = {{m->at, 4 * m->page}, {m->at + 4 * m->page, 40 * m->page}};

	ck_assert_int_eq(pread(fd, hidden(m) + 9, len, 20), len); /* a file gives all of it */
	sure_pattern(m->at + 9, 20, len);
	ck_assert_int_eq(pwrite(out, hidden(m) + 9, len, 0), len);
	ck_assert_int_eq(pread(out, own, len, 0), len);
	sure_pattern(own, 20, len);
	ck_assert_int_eq(read(fd, hidden(m), len), len);
	sure_pattern(m->at, 0, len);
	ck_assert_int_eq(getrandom(hidden(m), len, 0), len);

	hidden(m);
	ck_assert_int_eq(preadv(fd, iov, 2, 0), 4 * m->page); /* the buffers that fit */
	iov[0].iov_len = 0;
	hidden(m);
	ck_assert_int_gt(preadv(fd, iov, 2, 5), 0); /* part of the first */
	ck_assert_int_eq(m->at[4 * m->page], pattern(5));

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pattern_fill(own, 3, 12 * m->page);
	ck_assert_int_eq(send(pair[0], own, 12 * m->page, 0), 12 * m->page);
	while (got < 12 * m->page) {
		ssize_t n = recv(pair[1], hidden(m) + got, m->length - got, 0);

		ck_assert_int_gt(n, 0);
		got += (size_t)n;
	}
	sure_pattern(m->at, 3, 12 * m->page);
	hidden(m);
	close(fd);
	close(out);
	close(pair[0]);
	close(pair[1]);
	free(own);
	managed_end(m);
}
END_TEST

START_TEST(a_message_that_cannot_be_pinned_is_no_memory_and_still_there)
{
	struct managed *m = managed_with(16);
	unsigned char sent[100];
	int fd[2];

	datagrams(fd);
	pattern_fill(sent, 8, sizeof sent);
	ck_assert_int_eq(send(fd[0], sent, sizeof sent, 0), sizeof sent);
	hidden(m);
	ck_assert_int_eq(recv(fd[1], m->at, m->length, 0), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(read(fd[1], m->at, m->length), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(recvfrom(fd[1], m->at, m->length, 0, (struct sockaddr *)sent, &(socklen_t){sizeof sent}), -1);
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(recv(fd[1], hidden(m), 100, 0), 100);
	sure_pattern(m->at, 8, 100);
	hidden(m);
	close(fd[0]);
	close(fd[1]);
	managed_end(m);
}
END_TEST

/* ---- errors are the real ones ---- */

START_TEST(errors_are_the_real_ones)
{
	struct managed *m = managed_with(0);
	struct watched w = {.length = page_size(), .context = VPAGER_CALL_HANDLER};
	struct vpager_region *read_only = REGION_OVER(&w, .flags = VPAGER_REGION_READ_ONLY);
	void *volatile nowhere = (void *)8, *volatile null = NULL;
	volatile int minus_one = -1;
	int fd = file_with(100), pair[2];

	ck_assert_int_eq(read(-1, hidden(m), 10), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(read(fd, nowhere, 10), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(read(fd, null, 10), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(readv(fd, &(struct iovec){hidden(m), 1}, minus_one), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(pread(fd, base_of(read_only), 10, 0), -1);
	ck_assert_int_eq(errno, EFAULT);
	ck_assert_int_eq(pwrite(fd, base_of(read_only), 10, 0), 10);
	m->w.read_result = -EXDEV;
	ck_assert_int_eq(pread(fd, hidden(m), 10, 0), -1);
	ck_assert_int_eq(errno, EXDEV); /* the store's */
	m->w.read_result = -EINTR;	/* would ask for a repetition that never ends */
	ck_assert_int_eq(pread(fd, hidden(m), 10, 0), -1);
	ck_assert_int_eq(errno, EIO);
	m->w.read_result = 0;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
	ck_assert_int_eq(recv(pair[0], hidden(m), 10, 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
	errno = ENOTTY;
	ck_assert_int_eq(pread(fd, hidden(m), 10, 0), 10);
	ck_assert_int_eq(errno, ENOTTY);
	ck_assert_int_eq(read(fd, hidden(m), 0), 0);
	OK(vpager_region_destroy(read_only, 0));
	free(w.bytes);
	close(fd);
	close(pair[0]);
	close(pair[1]);
	hidden(m);
	managed_end(m);
}
END_TEST

static void overflow(void *arg)
{
	struct rlimit none = {0, 0};
	char small[4];

	setrlimit(RLIMIT_CORE, &none);
	(void)arg;
	close(2);
	(void)__read_chk(0, small, 5, sizeof small);
}

START_TEST(fortified_calls_fill_hidden_pages_and_end_the_program_beyond_the_buffer)
{
	struct managed *m = managed_with(0);
	int fd = file_with(100), status;

	ck_assert_int_eq(__read_chk(fd, hidden(m), 100, 100), 100);
	sure_pattern(m->at, 0, 100);
	hidden(m);
	status = end_of(overflow, NULL);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	close(fd);
	managed_end(m);
}
END_TEST

/* ---- cancellation, signals, children ---- */

struct blocked {
	struct managed *m;
	int fd;
};

static void *blocked_in_recv(void *arg)
{
	struct blocked *b = arg;

	(void)recv(b->fd, b->m->at, 3 * b->m->page, 0);
	return arg;
}

START_TEST(a_cancelled_thread_leaves_nothing_pinned)
{
	struct managed *m = managed_with(0);
	struct blocked b = {.m = m};
	pthread_t thread;
	void *result;
	int fd[2];

	datagrams(fd);
	b.fd = fd[0];
	hidden(m);
	ck_assert_int_eq(pthread_create(&thread, NULL, blocked_in_recv, &b), 0);
	while (stats_of(m->region).resident_bytes < 3 * m->page)
		nap(1000);
	nap(20000);
	ck_assert_int_eq(vpager_region_evict(m->region, 0, m->page), -EBUSY); /* it waits in the call */
	ck_assert_int_eq(pthread_cancel(thread), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	hidden(m);
	close(fd[0]);
	close(fd[1]);
	managed_end(m);
}
END_TEST

static struct managed *for_handler;
static int handler_fd;
static _Atomic(unsigned) written_in_handler;

static void write_in_handler(int signo)
{
	int saved = errno;

	(void)signo;
	if (write(handler_fd, for_handler->at + 2 * for_handler->page - 4, 8) == 8)
		written_in_handler++;
	errno = saved;
}

START_TEST(a_signal_handler_writes_from_hidden_pages_while_its_thread_reads_into_them)
{
	struct managed *m = for_handler = managed_with(0);
	struct sigaction action = {.sa_handler = write_in_handler, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
	double end = seconds() + 0.5;
	int fd = file_with(m->length);

	handler_fd = open("/dev/null", O_WRONLY);
	sigfillset(&action.sa_mask); /* without SIGSEGV and SIGBUS, whose blocking would be the end */
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (seconds() < end) {
		SURE(pread(fd, m->at, m->length, 0) == (ssize_t)m->length, "read");
		(void)evict_all(m->region);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	ck_assert_uint_gt(written_in_handler, 0);
	sure_pattern(m->at, 0, m->length);
	hidden(m);
	close(fd);
	managed_end(m);
}
END_TEST

START_TEST(a_thread_that_blocks_all_signals_still_takes_faults)
{
	struct managed *m = managed_with(0);
	sigset_t all, now;

	sigfillset(&all);
	hidden(m);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &all, NULL), 0);
	sure_pattern(m->at, 0, m->page); /* a fault */
	ck_assert_int_eq(sigprocmask(SIG_BLOCK, &all, &now), 0);
	ck_assert(sigismember(&now, SIGTERM) && !sigismember(&now, SIGSEGV) && !sigismember(&now, SIGBUS));
	sure_pattern(hidden(m), 0, m->page);
	managed_end(m);
}
END_TEST

static void read_in_child(void *arg)
{
	struct managed *m = arg;
	int fd = file_with(100);
	char own[100];

	if (pread(fd, m->at, 100, 0) != -1 || errno != EFAULT || pread(fd, own, 100, 0) != 100)
		_exit(1);
}

START_TEST(in_a_fork_child_the_parents_memory_is_no_buffer)
{
	struct managed *m = managed_with(0);

	hidden(m);
	ck_assert_int_eq(end_of(read_in_child, m), 0);
	managed_end(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("syscalls");
	TCase *tests = tcase_create("syscalls");

	tcase_add_test(tests, reads_from_a_file_land_in_hidden_pages);
	tcase_add_test(tests, writes_to_a_file_come_from_hidden_pages);
	tcase_add_test(tests, a_vector_of_many_buffers_is_held_whole);
	tcase_add_test(tests, pipes_and_stream_sockets_carry_hidden_pages);
	tcase_add_test(tests, no_datagram_is_lost);
	tcase_add_test(tests, a_message_with_its_address_and_control_data_in_hidden_pages);
	tcase_add_test(tests, addresses_and_options_of_sockets);
	tcase_add_test(tests, no_status_of_a_child_is_lost);
	tcase_add_test(tests, what_else_fills_a_buffer);
	tcase_add_test(tests, a_stream_goes_in_pieces_through_a_small_limit);
	tcase_add_test(tests, a_message_that_cannot_be_pinned_is_no_memory_and_still_there);
	tcase_add_test(tests, errors_are_the_real_ones);
	tcase_add_test(tests, fortified_calls_fill_hidden_pages_and_end_the_program_beyond_the_buffer);
	tcase_add_test(tests, a_cancelled_thread_leaves_nothing_pinned);
	tcase_add_test(tests, a_signal_handler_writes_from_hidden_pages_while_its_thread_reads_into_them);
	tcase_add_test(tests, a_thread_that_blocks_all_signals_still_takes_faults);
	tcase_add_test(tests, in_a_fork_child_the_parents_memory_is_no_buffer);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
