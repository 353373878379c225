# SPDX-License-Identifier: MIT
#
# Flags that are used only where the compiler or the linker takes them.  Each is tried by itself with -Werror, since clang
# only warns of a flag that it does not know.

# VPAGER_CFLAGS(VARIABLE, FLAG...): appends to VARIABLE those FLAGs, separated by blanks, that the compiler takes.
AC_DEFUN([VPAGER_CFLAGS], [m4_foreach_w([vpager_flag], [$2], [_VPAGER_CFLAG([$1], vpager_flag)])])

AC_DEFUN([_VPAGER_CFLAG], [
AS_VAR_PUSHDEF([cache], [vpager_cv_cflag_$2])dnl
AC_CACHE_CHECK([whether $CC takes $2], [cache], [
  vpager_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
  CFLAGS=$vpager_saved_CFLAGS])
AS_VAR_IF([cache], [yes], [$1="$$1 $2"])
AS_VAR_POPDEF([cache])])

# VPAGER_LIBRARY_LDFLAG(VARIABLE, FLAG): appends FLAG to VARIABLE if a shared library links with it, under the CFLAGS and
# LDFLAGS given (clang's sanitizers do not go with -z defs).
AC_DEFUN([VPAGER_LIBRARY_LDFLAG], [
AS_VAR_PUSHDEF([cache], [vpager_cv_ldflag_$2])dnl
AC_CACHE_CHECK([whether a shared library links with $2], [cache], [
  vpager_saved_CFLAGS=$CFLAGS
  vpager_saved_LDFLAGS=$LDFLAGS
  CFLAGS="$CFLAGS -fPIC"
  LDFLAGS="$LDFLAGS -shared $2"
  AC_LINK_IFELSE([AC_LANG_SOURCE([int vpager_probe(int *p); int vpager_probe(int *p) { return *p + 1; }])],
    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
  CFLAGS=$vpager_saved_CFLAGS
  LDFLAGS=$vpager_saved_LDFLAGS])
AS_VAR_IF([cache], [yes], [$1="$$1 $2"])
AS_VAR_POPDEF([cache])])

# VPAGER_VERSION_SCRIPT: sets vpager_version_script to yes or no.
AC_DEFUN([VPAGER_VERSION_SCRIPT], [
AC_CACHE_CHECK([whether the linker takes a version script], [vpager_cv_version_script], [
  AS_ECHO(['VPAGER_PROBE { global: vpager_probe; local: *; };']) >conftest.map
  vpager_saved_CFLAGS=$CFLAGS
  vpager_saved_LDFLAGS=$LDFLAGS
  CFLAGS="$CFLAGS -fPIC"
  LDFLAGS="$LDFLAGS -shared -Wl,--version-script=conftest.map"
  AC_LINK_IFELSE([AC_LANG_SOURCE([int vpager_probe(void); int vpager_probe(void) { return 1; }])],
    [vpager_cv_version_script=yes], [vpager_cv_version_script=no])
  CFLAGS=$vpager_saved_CFLAGS
  LDFLAGS=$vpager_saved_LDFLAGS
  rm -f conftest.map])])
