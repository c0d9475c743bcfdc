/*
 * TCP echo: shows the limit of the kernel and of wsload, and is the backend of gateways to TCP.
 *
 * usage: c_raw PORT
 */
#include "loop.h"

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	serve((uint16_t)atoi(argv[1]), write_all);
}
